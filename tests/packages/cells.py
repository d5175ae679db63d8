"""Running a program sealed, on systems that withhold more or less of what seals it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pellucid.sandbox import landlock

TOKEN = "token-93f1c of the verifier"  # in the environment of who re-runs, and nowhere else
# what a system may withhold: nothing; root's right to make namespaces; all namespaces, as in most containers
HANDICAPS = {
    "as it is": "",
    "no privilege": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(24, 21, 0, 0, 0)  # CAP_SYS_ADMIN leaves the bounding set: what is started from here does not have it
""",
    "no namespaces": """
import ctypes, platform, struct
# a filter that forbids unshare, as containers do
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
program = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.c_char_p(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))), 0, 0) == 0
""",
}  # fmt: skip
SEALED = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from pellucid.sandbox import launcher
from pellucid.sandbox.limits import Limits
work, script, seconds, memory, disk = Path(sys.argv[1]), *sys.argv[2:]
env = {"WORK": str(work), "PATH": "/usr/bin:/bin"}
bound = Limits(float(seconds), int(memory), int(disk))
read = [Path(script), *launcher.own_folders()]
ended = launcher.run([sys.executable, "-P", script], read=read, write=[work], env=env, folder=work, log="probe", limits=bound)
print(json.dumps({"held": asdict(ended.held), "code": ended.code, "stopped": ended.stopped, "last": ended.last,
                  "network": ended.held.network_words, "files": ended.held.files_words}))
"""
HEARTBEAT = """
import os, time
def heart(path):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                with open(path, "a") as file:
                    file.write("x")
                time.sleep(0.02)
        os._exit(0)
    while not os.path.exists(path):
        time.sleep(0.01)
"""


def sealed(handicap: str, folder: Path, program: str, limits: tuple[float, int, int] = (60, 1 << 32, 1 << 30)) -> list[str]:
    """The command of a process that runs a program sealed, on a system that withholds something."""
    if not landlock.abi():
        pytest.skip("this kernel has no Landlock")
    (folder / "work").mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(program)
    return [sys.executable, "-c", HANDICAPS[handicap] + SEALED, str(folder / "work"), str(script), *map(str, limits)]


def ran(command: list[str]) -> dict[str, Any]:
    env = {**os.environ, "ZENODO_TOKEN": TOKEN}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def beats(folder: Path) -> bool:
    """Whether the process that was left behind is still alive."""
    heart = folder / "work" / "heart"
    before = heart.stat().st_size
    time.sleep(0.3)
    return heart.stat().st_size > before


def namespaces(handicap: str) -> bool:
    """Whether this system allows them, with what it withholds."""
    leaves = "leave(NEW_IPC | NEW_PIDS | NEW_NET) and not libc().unshare(NEW_MOUNTS)"
    tried = f"from pellucid.sandbox.namespaces import *\nprint('allowed' if {leaves} else 'withheld')"
    run = f"import subprocess, sys\nraise SystemExit(subprocess.run([sys.executable, '-c', {tried!r}]).returncode)"
    said = subprocess.run([sys.executable, "-c", HANDICAPS[handicap] + run], capture_output=True, text=True, check=True).stdout
    assert said in ("allowed\n", "withheld\n"), said  # a program that fails tells nothing of the system
    return said == "allowed\n"
