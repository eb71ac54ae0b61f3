"""Gets the tests that channels_redis ships with its source; nothing of them is kept here."""

import importlib.util
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

PACKAGE = "channels_redis"


class SourceUnavailable(Exception):
    """The source distribution could not be fetched; the message says why."""


def fetch_tests(directory: Path) -> Path:
    """The folder with the tests of the installed version, unpacked below *directory*."""
    wanted = f"{PACKAGE}=={version(PACKAGE)}"
    command = [*find_pip(), "download", "--quiet", "--no-deps"]
    command += ["--no-binary", PACKAGE, "--dest", str(directory), wanted]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        raise SourceUnavailable(f"{wanted} was not downloaded within two minutes") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:]
        raise SourceUnavailable(f"{wanted} cannot be downloaded: {' '.join(last)}") from None
    (archive,) = directory.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(directory, filter="data")
    (tests,) = directory.glob("*/tests")
    return tests


def find_pip() -> list[str]:
    """A pip that works for this environment, which may have been made without one."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    outside = getattr(sys, "_base_executable", sys.executable)
    return [outside, "-m", "pip", "--python", sys.executable]
