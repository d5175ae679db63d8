"""A sealed process: a command that is out of the network, and out of all files but those it is given, from the start.

Started from the verifier's own pellucid, which gives up the network (a namespace of its own) and the files (Landlock) and then
becomes the command. What the system does not offer is not silently missing: `Held` says what holds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KEPT = ("PATH", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE")


@dataclass(frozen=True)
class Held:
    """How a process was held: no network at all, and the Landlock version (0: its files are not confined)."""

    network: bool = False
    landlock: int = 0

    @property
    def network_words(self) -> str:
        if self.network:
            return "none (namespace)"
        if self.landlock >= 4:
            return "no TCP (landlock); this system allows no network namespace"
        return "not cut: this system allows no network namespace"

    @property
    def files_words(self) -> str:
        return f"landlock {self.landlock}" if self.landlock else "nothing: this kernel has no Landlock"


@dataclass(frozen=True)
class Ended:
    """How a sealed process ended. `code` is negative for a signal; `last` the last lines it wrote to its error output."""

    code: int
    held: Held
    output: str
    last: str


def available() -> Held:
    """What this system offers for the files, without trying it."""
    from pellucid.pipeline import landlock

    return Held(landlock=landlock.abi())


def network_can_be_left() -> bool:
    """Whether this system lets a process have no network at all; tried in a child."""
    tried = "import sys; from pellucid.pipeline import landlock; sys.exit(0 if landlock.leave_network() else 1)"
    return subprocess.run([sys.executable, "-P", "-c", tried], check=False, capture_output=True).returncode == 0


def run(
    command: Sequence[str], *, read: Iterable[Path], write: Iterable[Path], env: Mapping[str, str], folder: Path, log: str
) -> Ended:
    """Run `command` sealed, in `folder`, until it ends; its group ends with it. Its output goes to files named `log` there."""
    readable, writable = os.pipe()
    spec = {
        "command": list(command), "env": dict(env), "report": writable,
        "read": [str(path) for path in read], "write": [str(path) for path in write],
    }  # fmt: skip
    out, err = folder / f"{log}.out", folder / f"{log}.err"
    with out.open("wb") as output, err.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pellucid.packages.sealed", json.dumps(spec)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=folder, pass_fds=[writable], start_new_session=True,
        )  # fmt: skip
        try:
            os.close(writable)
            with open(readable, "rb") as report:
                said = report.read(4096)
            code = process.wait()
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    held = Held(**json.loads(said)) if said else Held()
    return Ended(code, held, tail(out, 1 << 20), tail(err, 2000))


def tail(path: Path, size: int) -> str:
    """The end of a file as text."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        return file.read().decode(errors="replace").strip()


def main(text: str) -> None:
    """Entry of the process: give up what is not given, say so, become the command."""
    from pellucid.pipeline import landlock

    spec = json.loads(text)
    network, files = landlock.leave_network(), landlock.abi()
    if files:
        try:
            landlock.restrict(spec["read"], spec["write"])
        except OSError:
            files = 0
    os.write(spec["report"], json.dumps({"network": network, "landlock": files}).encode())
    os.close(spec["report"])
    os.execve(spec["command"][0], spec["command"], spec["env"])


if __name__ == "__main__":
    main(sys.argv[1])
