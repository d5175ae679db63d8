"""A sealed process: a command that is out of the network, and out of all files but those it is given, from the start.

Started from the verifier's own pellucid (`cell`), which gives up whatever is not given and then becomes the command. What the system
does not offer is not silently missing: `Confinement` says what holds. Of the verifier's environment it gets only what is handed to it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from pellucid.sandbox import limits, resource_monitor
from pellucid.sandbox.limits import Limits

KEPT = ("PATH", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE")
_OWN = (*KEPT, "PYTHONPATH", "PYTHONHOME")  # what starting this pellucid may need
_PATIENCE = 10.0  # seconds for the process outside to end what is inside


@dataclass(frozen=True)
class Confinement:
    """How a process was held. `network`: what cuts it off ("namespace", "seccomp", "landlock": of TCP alone, or ""); `sockets`: whether a
    filter refuses Unix sockets; `tree`: whether it sees a file tree of its own; `landlock`: the version (0: none); `processes`: whether
    a process namespace ends all it started."""

    network: str = ""
    sockets: bool = False
    tree: bool = False
    landlock: int = 0
    processes: bool = False

    @property
    def network_words(self) -> str:
        cut = {
            "namespace": "none (namespace)",
            "seccomp": "none (system call filter)",
            "landlock": "no TCP (landlock); this system allows no network namespace",
        }.get(self.network, "not cut: this system allows no network namespace")
        return f"{cut}; unix sockets: {'none' if self.sockets else 'not cut'}"

    @property
    def files_words(self) -> str:
        means = ["a file tree of its own"] if self.tree else []
        means += [f"landlock {self.landlock}"] if self.landlock else []
        ended = "its processes: ended with it" if self.processes else "its processes: ended one by one"
        return f"{', '.join(means) or 'nothing: this system allows no namespaces and has no Landlock'}; {ended}"

    @property
    def sealed(self) -> bool:
        """Whether network and files are cut off."""
        return self.network in ("namespace", "seccomp") and self.sockets and (self.tree or self.landlock > 0)

    def and_(self, other: Confinement) -> Confinement:
        """What holds of both."""
        return Confinement(
            *(one if one == two else min(one, two, key=bool) for one, two in zip(astuple(self), astuple(other), strict=True))
        )


@dataclass(frozen=True)
class SealedOutcome:
    """How a sealed process ended. `code` is negative for a signal; `last` the last lines it wrote to its error output; `stopped` the limit
    it passed, or ""."""

    code: int
    held: Confinement
    output: str
    last: str
    stopped: str = ""

    @property
    def why(self) -> str:
        """Why it broke off, in one line."""
        return self.stopped or (self.last.splitlines()[-1] if self.last else f"it ended with {self.code}")


def available() -> Confinement:
    """What this system offers for the files, without trying it."""
    from pellucid.sandbox import landlock

    return Confinement(landlock=landlock.abi())


def tried() -> Confinement:
    """What this system offers, found out by a process that does nothing."""
    with tempfile.TemporaryDirectory(prefix="pellucid-tried-") as work:
        command = [sys.executable, "-I", "-S", "-c", "pass"]
        return run(
            command, read=own_folders(), write=[], env={}, folder=Path(work), log="tried", limits=limits.of_reading([])
        ).held


def own_folders() -> list[Path]:
    """What must be readable to run the verifier's own pellucid."""
    from pellucid.sandbox import landlock

    return [*map(Path, landlock.environment_paths()), Path(__file__).resolve().parents[2]]


def own_environment() -> dict[str, str]:
    """What of the environment running the verifier's own pellucid may need."""
    return {name: os.environ[name] for name in _OWN if name in os.environ}


def run(
    command: Sequence[str],
    *,
    read: Iterable[Path],
    write: Iterable[Path],
    env: Mapping[str, str],
    folder: Path,
    log: str,
    limits: Limits,
    output: int = 1 << 20,
) -> SealedOutcome:
    """Run `command` sealed, in `folder`, until it ends or passes a limit; all it started ends with it.

    The last `output` bytes of its output are returned; all goes to files named `log` in `folder`, which it sees if it may read there.
    """
    readable, writable = os.pipe()
    write = list(write)
    with tempfile.TemporaryDirectory(prefix="pellucid-cell-") as root:
        spec = {
            "command": list(command), "env": dict(env), "report": writable, "verifier": os.getpid(), "root": root, "folder": str(folder),
            "limits": vars(limits), "read": [str(path) for path in read], "write": [str(path) for path in write],
        }  # fmt: skip
        out, err = folder / f"{log}.out", folder / f"{log}.err"
        with out.open("wb") as written, err.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pellucid.sandbox.init_process", json.dumps(spec)], env=own_environment(),
                stdin=subprocess.DEVNULL, stdout=written, stderr=errors, cwd=folder, pass_fds=[writable], start_new_session=True,
            )  # fmt: skip
            stopped = ""
            try:
                os.close(writable)
                with open(readable, "rb") as report:
                    said = report.read(4096)
                stopped = resource_monitor.until_ended(process.pid, folder if write else None, limits)
            finally:
                _end(process)
    held = Confinement(**json.loads(said)) if said else Confinement()
    code = process.returncode
    return SealedOutcome(128 - code if code > 128 else code, held, tail(out, output), tail(err, 2000), stopped)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process outside ends what is inside, and itself; should it not, it is ended."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tail(path: Path, size: int) -> str:
    """The end of a file as text."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        return file.read().decode(errors="replace").strip()
