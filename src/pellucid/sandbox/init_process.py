"""The cell: the process in which a stranger's code or file is, and the one outside that ends it.

Entry of a process of the verifier's own pellucid. It gives up what is not given, from the strongest means the system offers down to
what is left, says what holds, and becomes the command. The one that stays outside dies with the verifier, and takes all with it: the
first of a process namespace takes every process in it; where there is none, orphans are inherited and ended one by one.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from pellucid.sandbox import capabilities, landlock, limits, mounts, namespaces, resource_monitor, seccomp
from pellucid.sandbox.namespaces import libc

_DIE_WITH_PARENT, _DUMPABLE, _INHERIT_ORPHANS = 1, 4, 36


def main(text: str) -> None:
    """Entry: `text` is the specification that `sealed.run` writes."""
    spec = json.loads(text)
    signal.signal(signal.SIGTERM, _leave)
    libc().prctl(_DIE_WITH_PARENT, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != spec["verifier"]:
        return
    with suppress(OSError):  # when memory runs out, it is this that has to go
        Path("/proc/self/oom_score_adj").write_text("1000")
    limits.hold(limits.Limits(**spec["limits"]))
    libc().prctl(_INHERIT_ORPHANS, 1, 0, 0, 0)
    apart = namespaces.leave(
        namespaces.NEW_IPC | namespaces.NEW_PIDS | namespaces.NEW_NET
    )  # the next child is the first of its processes
    libc().prctl(_DIE_WITH_PARENT, signal.SIGTERM, 0, 0, 0)  # once more: another user namespace may forget it
    network = apart or landlock.leave_network()
    alive, hold = os.pipe()  # closes when this process ends
    child = os.fork()
    if not child:
        try:
            os.close(hold)
            _inside(spec, alive, apart, network)
        finally:
            os._exit(127)
    os.close(spec["report"])
    try:
        code = _reaped(child)
    finally:
        resource_monitor.end_descendants(os.getpid())
    sys.exit(code)


def _leave(*_: Any) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


def _reaped(child: int) -> int:
    """Wait for a child, and for orphans on the way: its exit code, or 128 and the signal that ended it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _inside(spec: dict[str, Any], alive: int, apart: bool, network: bool) -> None:
    """In the child: confine, report, become the command. Where it is the first of a process namespace it stays, to be that."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    libc().prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if select.select([alive], [], [], 0)[0]:
        return
    tree = apart and _tree(spec)
    with suppress(OSError):  # it may not be one of those that are seen
        os.chdir(spec["folder"])
    capabilities.drop_all()
    # of processes that are not its own, without privileges, Landlock lets it see no memory and no environment
    files = _landlocked([*spec["read"], "/proc"], spec["write"])
    sockets = seccomp.install(inet=network)
    held = {
        "network": "namespace" if network else "seccomp" if sockets else "landlock" if files >= 4 else "",
        "sockets": sockets, "tree": tree, "landlock": files, "processes": apart,
    }  # fmt: skip
    os.write(spec["report"], json.dumps(held).encode())
    os.close(spec["report"])
    command, env = spec["command"], spec["env"]
    if not apart:
        os.execve(command[0], command, env)
    libc().prctl(_DUMPABLE, 0, 0, 0, 0)  # nobody in there looks into this one
    child = os.fork()
    if not child:
        os.execve(command[0], command, env)
    os._exit(_reaped(child))


def _tree(spec: dict[str, Any]) -> bool:
    try:
        mounts.enter(spec["root"], spec["read"], spec["write"])
    except OSError:
        return False
    return True


def _landlocked(read: list[str], write: list[str]) -> int:
    """The Landlock version that holds from here on; 0 where there is none."""
    version = landlock.abi()
    try:
        if version:
            landlock.restrict(read, write)
    except OSError:
        return 0
    return version


if __name__ == "__main__":
    main(sys.argv[1])
