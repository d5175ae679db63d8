"""The desks of tests/cli, for runs that are cut short or run side by side."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
