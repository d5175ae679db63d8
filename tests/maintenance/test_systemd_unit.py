"""The unit for systemd: read by systemd itself, and held to a score of what it gives up."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "pellucid.service"
MOST_EXPOSED = 3.0  # of 10, by `systemd-analyze security`
pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian: apt-get install systemd)"
)


def test_systemd_knows_every_word_of_it(tmp_path: Path):
    unit = tmp_path / "pellucid.service"
    unit.write_text(UNIT.read_text().replace("/opt/pellucid/.venv/bin/pellucid", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert done.stderr == "" and done.returncode == 0
    unit.write_text(unit.read_text().replace("ProtectHome", "ProtectHme"))
    wrong = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "ProtectHme" in wrong.stderr, "or the check would say nothing"


def test_it_gives_up_what_it_does_not_need(tmp_path: Path):
    unit = tmp_path / "pellucid.service"
    unit.write_text(UNIT.read_text())
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, check=False)
    score = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert score and float(score[1]) <= MOST_EXPOSED, done.stdout[-500:]


def test_the_command_is_one_that_there_is():
    from pellucid.cli.main import parse

    words = re.search(r"^ExecStart=\S+/pellucid (.*)$", UNIT.read_text(), re.MULTILINE)
    assert words and parse(words[1].split()).port == 8080
