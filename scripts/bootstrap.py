"""Makes the checkout's own virtual environment, with nothing but the standard library.

Scripts call ``ensure()`` and get the interpreter to run; the first call installs, later ones
return at once until ``pyproject.toml`` changes. From a shell::

    python3 scripts/bootstrap.py --extra demo --group test

prints that interpreter's path. Progress goes to standard error.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST_PYTHON = (3, 11)
# The first pip that can install into an environment that has no pip of its own.
OLDEST_OUTSIDE_PIP = (22, 3)

NO_NETWORK = re.compile(
    r"Failed to establish a new connection|Temporary failure in name resolution"
    r"|Name or service not known|nodename nor servname|Network is unreachable"
    r"|getaddrinfo failed|ConnectTimeoutError|Connection refused|ProxyError|NewConnectionError"
)


class BootstrapError(Exception):
    """The environment cannot be made; the message says why and what to do."""


def ensure(
    extras: Sequence[str] = (),
    groups: Sequence[str] = (),
    *,
    requirements: Sequence[str] = (),
    directory: Path = VENV,
) -> Path:
    """Return an interpreter that has the project, *extras* and dependency *groups* installed.

    The project is installed editable. What an earlier call installed stays installed. When the
    environment cannot be made, prints one plain sentence and exits with status 2.
    """
    try:
        return _ensure(extras, groups, requirements, directory)
    except BootstrapError as error:
        raise SystemExit(_complain(str(error))) from None
    except KeyboardInterrupt:
        raise SystemExit(_complain("interrupted; run the same command again to go on.")) from None


def _ensure(
    extras: Sequence[str], groups: Sequence[str], requirements: Sequence[str], directory: Path
) -> Path:
    if sys.version_info < OLDEST_PYTHON:
        raise BootstrapError(
            f"this is Python {sys.version_info[0]}.{sys.version_info[1]}, and the project needs "
            f"{_dotted(OLDEST_PYTHON)} or newer. Install one and start the same command with it, "
            "for example: python3.12 scripts/demo.py"
        )
    python = directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = directory / "installed.json"
    # An environment made elsewhere and copied here holds the other place's paths.
    pyproject = (ROOT / "pyproject.toml").read_bytes()
    wanted = {
        "pyproject": hashlib.sha256(str(ROOT).encode() + b"\0" + pyproject).hexdigest(),
        "extras": sorted(extras),
        "groups": sorted(groups),
        "requirements": sorted(requirements),
    }
    installed = _read_stamp(stamp)
    usable = _version_of(python)
    if usable is not None and usable < OLDEST_PYTHON:
        raise BootstrapError(
            f"{directory} belongs to Python {_dotted(usable)}, and the project needs "
            f"{_dotted(OLDEST_PYTHON)} or newer. Remove that directory and try again."
        )
    if usable is not None and _covers(installed, wanted):
        return python
    if usable is None:
        if _holds_something_else(directory):
            raise BootstrapError(f"{directory} holds something else than a virtual environment.")
        _make(directory)
        installed = {}
    for kind in ("extras", "groups", "requirements"):
        wanted[kind] = sorted({*wanted[kind], *installed.get(kind, ())})
    stamp.unlink(missing_ok=True)
    _install(python, wanted)
    stamp.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    return python


def _holds_something_else(directory: Path) -> bool:
    """Whether making an environment in *directory* would delete somebody's files."""
    if not directory.is_dir() or (directory / "pyvenv.cfg").exists():
        return False
    return any(directory.iterdir())


def _covers(installed: dict, wanted: dict) -> bool:
    return installed.get("pyproject") == wanted["pyproject"] and all(
        set(wanted[kind]) <= set(installed.get(kind, ()))
        for kind in ("extras", "groups", "requirements")
    )


def _read_stamp(stamp: Path) -> dict:
    try:
        found = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _version_of(python: Path) -> tuple[int, int] | None:
    """Tell which Python *python* is; None when it does not run."""
    try:
        answer = _output_of([python, "-c", "import sys; print(*sys.version_info[:2])"])
        major, minor = answer.split()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return int(major), int(minor)


def _make(directory: Path) -> None:
    _say(f"making a virtual environment in {_short(directory)} with Python {_dotted()}")
    if importlib.util.find_spec("venv") is None:
        raise BootstrapError(_how_to_get_venv())
    trouble = _run_venv(directory) if importlib.util.find_spec("ensurepip") else "no ensurepip"
    if "ensurepip" in trouble:
        # Debian and Ubuntu pack it apart. The pip of this Python can fill an empty environment.
        if not _outside_pip_can_install():
            raise BootstrapError(_how_to_get_venv())
        trouble = _run_venv(directory, "--without-pip")
    if trouble:
        raise BootstrapError(f"cannot make {directory}: {trouble}")


def _run_venv(directory: Path, *options: str) -> str:
    """Make the environment; return what was said about it if that failed, else nothing."""
    command = [sys.executable, "-m", "venv", "--clear", *options, str(directory)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return (done.stderr + done.stdout).strip() or "no reason given" if done.returncode else ""


def _how_to_get_venv() -> str:
    return (
        "this Python cannot make virtual environments: its ensurepip or venv module is missing. "
        "On Debian and Ubuntu: apt-get install python3-venv. Then start the same command again."
    )


def _outside_pip_can_install() -> bool:
    try:
        said = _output_of([sys.executable, "-m", "pip", "--version"])
    except (OSError, subprocess.SubprocessError):
        return False
    found = re.match(r"pip (\d+)\.(\d+)", said)
    return found is not None and tuple(map(int, found.groups())) >= OLDEST_OUTSIDE_PIP


def _pip_for(python: Path) -> list[str]:
    try:
        _output_of([python, "-m", "pip", "--version"])
    except (OSError, subprocess.SubprocessError):
        if _outside_pip_can_install():
            return [sys.executable, "-m", "pip", "--python", str(python)]
        raise BootstrapError(
            f"there is no pip in {python.parent.parent}, and none outside that could install "
            "into it. Remove that directory and try again, or install pip "
            "(on Debian and Ubuntu: apt-get install python3-pip)."
        ) from None
    return [str(python), "-m", "pip"]


def _install(python: Path, wanted: dict) -> None:
    asked_for = [*wanted["requirements"], *requirements_of(wanted["groups"])]
    named = ", ".join([*wanted["extras"], *wanted["groups"]])
    _say(f"installing the project{' with ' + named if named else ''}; the first time takes minutes")
    extras = f"[{','.join(wanted['extras'])}]" if wanted["extras"] else ""
    command = [
        *_pip_for(python),
        "install",
        "--retries=2",
        "--progress-bar=off",
        f"--editable={ROOT}{extras}",
        *asked_for,
    ]
    environment = {
        **os.environ,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        # A `user = true` in somebody's pip configuration would miss the environment.
        "PIP_USER": "0",
        "PYTHONUNBUFFERED": "1",
    }
    started = time.monotonic()
    said: list[str] = []
    with subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as pip:
        assert pip.stdout is not None  # noqa: S101 - for the type checker; it was asked for above
        progress = _Progress()
        for line in pip.stdout:
            said.append(line.rstrip())
            progress.see(line)
        progress.end()
    if pip.returncode != 0:
        raise BootstrapError(_why_pip_failed(said, pip.returncode))
    _say(f"installed in {time.monotonic() - started:.0f} s")


def requirements_of(groups: Sequence[str]) -> list[str]:
    """Return what the dependency groups of pyproject.toml ask for.

    They are read here because pip itself knows them only from 25.1 on.
    """
    import tomllib  # not there on the Pythons that _ensure() refuses in plain words

    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    known = table["dependency-groups"]

    def unfold(name: str) -> Iterator[str]:
        if name not in known:
            raise BootstrapError(
                f"pyproject.toml has no dependency group {name!r}; it has {', '.join(known)}."
            )
        for entry in known[name]:
            if isinstance(entry, str):
                yield entry
            else:
                yield from unfold(entry["include-group"])

    return list(dict.fromkeys(entry for name in groups for entry in unfold(name)))


def _why_pip_failed(said: list[str], status: int) -> str:
    text = "\n".join(said)
    if NO_NETWORK.search(text):
        return (
            "the package index cannot be reached, and the first start has to install from it. "
            "Check the network (or pip's proxy and index settings) and start the same command "
            "again."
        )
    if "No space left on device" in text:
        return f"the disk that holds {ROOT} is full."
    tail = "\n".join(f"    {line}" for line in said[-20:])
    return f"pip failed with status {status}; its last words:\n{tail}"


class _Progress:
    """One line that changes on a terminal; now and then a line elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._packages: set[str] = set()
        self._shown = 0.0

    def see(self, line: str) -> None:
        collecting = re.match(r"Collecting ([\w.\-]+)", line)
        if collecting:
            self._packages.add(collecting[1])
            self._show(f"{len(self._packages)} packages: {collecting[1]}")
        elif line.startswith("Installing collected packages"):
            self._show("unpacking them", always=True)

    def end(self) -> None:
        if self._live and self._packages:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _show(self, text: str, *, always: bool = False) -> None:
        if self._live:
            print(f"\r\033[K  {text}", end="", file=sys.stderr, flush=True)
        elif always or time.monotonic() - self._shown > 5:
            self._shown = time.monotonic()
            print(f"  {text}", file=sys.stderr, flush=True)


def _output_of(command: Sequence[str | Path]) -> str:
    return subprocess.run(
        [str(part) for part in command],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def _dotted(version: Sequence[int] | None = None) -> str:
    return ".".join(map(str, version or sys.version_info[:3]))


def _short(path: Path) -> str:
    try:
        return f"{path.relative_to(ROOT)}{os.sep}"
    except ValueError:
        return str(path)


def _say(text: str) -> None:
    print(f"[setup] {text}", file=sys.stderr, flush=True)


def _complain(text: str) -> int:
    _say(text)
    return 2


def main() -> None:
    """Make the environment and print its interpreter."""
    parser = argparse.ArgumentParser(description="Make the checkout's virtual environment.")
    parser.add_argument("--extra", action="append", default=[], help="an extra of the project")
    parser.add_argument("--group", action="append", default=[], help="a dependency group")
    parser.add_argument("--require", action="append", default=[], help="one more requirement")
    parser.add_argument("--venv", type=Path, default=VENV, help="where it goes (default: .venv)")
    options = parser.parse_args()
    directory = options.venv.absolute()
    print(ensure(options.extra, options.group, requirements=options.require, directory=directory))


if __name__ == "__main__":
    main()
