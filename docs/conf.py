"""Sphinx configuration."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INIT = ROOT / "src" / "resilient_channels" / "__init__.py"

project = "resilient_channels"
author = "resilient_channels contributors"
project_copyright = f"2026, {author}"
release = re.search(r'__version__ = "(.+?)"', INIT.read_text(encoding="utf-8"))[1]
version = release

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "reference/_generated/*"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"resilient_channels {release}"
html_theme_options = {"navigation_with_keys": True}
