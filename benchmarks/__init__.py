"""What the library costs, measured side by side: ``python -m benchmarks`` from the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The tour knows how to start servers and how frames look; neither has to be written twice.
_tour = str(ROOT / "example_project")
if _tour not in sys.path:
    sys.path.append(_tour)
