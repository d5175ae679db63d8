"""80 attempts of hostile code to change something outside of its re-run, with every means of the kernel and without. Nothing changes."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cells import HANDICAPS, namespaces, ran, sealed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of system calls are those of x86-64"),
]
# F: a file of the verifier; D: its folder; P: another process of the same user; W: what may be written; S: system call; B: its bytes
HEAD = """
import ctypes, fcntl, json, mmap, os, resource, shutil, signal, socket, struct, subprocess, sys, tempfile, threading
W = os.environ["WORK"]
known = json.load(open(os.path.join(W, "known.json")))
F, D, P = known["file"], known["folder"], known["victim"]
B = F.encode()
libc = ctypes.CDLL(None, use_errno=True)
def S(*words):
    found = libc.syscall(*[ctypes.c_long(word) if isinstance(word, int) else word for word in words])
    if found < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return found
AT = -100
"""
ATTEMPTS = {
    "chmod": "os.chmod(F, 0o777)",
    "chmod by call": "S(90, B, 0o777)",
    "fchmodat": "S(268, AT, B, 0o777)",
    "fchmodat2": "S(452, AT, B, 0o777, 0)",
    "chmod of a folder": "os.chmod(D, 0)",
    "setuid bit": "os.chmod(F, 0o4777)",
    "chmod through proc": "os.chmod(f'/proc/self/root{F}', 0o777)",
    "chmod by a link": "os.symlink(F, W + '/l1'); os.chmod(W + '/l1', 0)",
    "chmod by a program": "subprocess.run(['chmod', '777', F], check=True)",
    "copymode": "shutil.copymode(W, F)",
    "chown": "os.chown(F, 1, 1)",
    "lchown": "os.lchown(F, 1, 1)",
    "fchownat": "S(260, AT, B, 1, 1, 0)",
    "chgrp": "os.chown(F, -1, 7)",
    "chown by a program": "subprocess.run(['chown', '1', F], check=True)",
    "utime": "os.utime(F, (0, 0))",
    "utimensat": "S(280, AT, B, 0, 0)",
    "utimes": "S(235, B, 0)",
    "futimesat": "S(261, AT, B, 0)",
    "old utime": "S(132, B, 0)",
    "touch": "subprocess.run(['touch', F], check=True)",
    "times of a folder": "os.utime(D, (0, 0))",
    "setxattr": "os.setxattr(F, 'user.x', b'1')",
    "lsetxattr": "S(189, B, b'user.x', b'1', 1, 0)",
    "removexattr": "os.removexattr(F, 'user.kept')",
    "setxattr of a folder": "os.setxattr(D, 'user.x', b'1')",
    "setxattrat": "S(463, AT, B, 0, b'user.x', 0, 0)",
    "write": "open(F, 'w')",
    "append": "open(F, 'a').write('x')",
    "truncate": "os.truncate(F, 0)",
    "unlink": "os.unlink(F)",
    "rename": "os.rename(F, F + '.moved')",
    "rename away": "os.rename(F, W + '/taken')",
    "rename over": "open(W + '/o', 'w'); os.rename(W + '/o', F)",
    "link in": "os.link(F, W + '/linked'); open(W + '/linked', 'a').write('x')",
    "link out": "open(W + '/i', 'w'); os.link(W + '/i', D + '/i')",
    "symlink there": "os.symlink('/', D + '/s')",
    "mkdir there": "os.mkdir(D + '/m')",
    "mknod there": "os.mkfifo(D + '/f')",
    "rmdir": "os.rmdir(D)",
    "rmtree": "shutil.rmtree(D)",
    "exchange": "open(W + '/e', 'w'); S(316, AT, (W + '/e').encode(), AT, B, 2)",
    "open by proc": "open(f'/proc/self/root{F}', 'w')",
    "open by cwd": "os.chdir(W); open(os.path.relpath(F, W), 'w')",
    "O_PATH and back": "fd = os.open(F, os.O_PATH); open(f'/proc/self/fd/{fd}', 'w')",
    "temporary there": "os.open(D, os.O_TMPFILE | os.O_RDWR)",
    "name by handle": "S(303, AT, B, ctypes.create_string_buffer(200), ctypes.byref(ctypes.c_int()), 0)",
    "fallocate": "os.posix_fallocate(os.open(F, 2), 0, 1 << 20)",
    "copy range": "a = os.open(__file__, 0); os.copy_file_range(a, os.open(F, 1), 10)",
    "ioctl flags": "fcntl.ioctl(os.open(F, 0), 0x40086602, struct.pack('i', 16))",
    "kill": "os.kill(P, 9)",
    "kill all": "os.kill(-1, 9) if False else S(62, P, 9)",
    "tgkill": "S(234, P, P, 9)",
    "queue a signal": "S(129, P, 9, ctypes.create_string_buffer(128))",
    "pidfd and kill": "signal.pidfd_send_signal(os.pidfd_open(P), 9)",
    "prlimit": "resource.prlimit(P, resource.RLIMIT_NOFILE, (11, 11))",
    "prlimit of time": "resource.prlimit(P, resource.RLIMIT_CPU, (1, 1))",
    "nice": "os.setpriority(os.PRIO_PROCESS, P, 19)",
    "nice of all": "os.setpriority(os.PRIO_USER, os.getuid(), 19)",
    "affinity": "os.sched_setaffinity(P, {0})",
    "policy": "os.sched_setscheduler(P, os.SCHED_IDLE, os.sched_param(0))",
    "io priority": "S(251, 1, P, 3 << 13)",
    "ptrace": "S(101, 16, P, 0, 0)",
    "write to memory": "S(311, P, 0, 0, 0, 0, 0)",
    "open memory": "open(f'/proc/{P}/mem', 'r+b')",
    "out of memory score": "open(f'/proc/{P}/oom_score_adj', 'w').write('1000')",
    "its session": "os.setpgid(P, 0)",
    "take a descriptor": "S(438, os.pidfd_open(P), 0, 0)",
    "compare": "S(312, P, os.getpid(), 0, 0, 0)",
    "shared memory": "S(29, 0x7e11, 1 << 16, 0o1666)",
    "semaphores": "S(64, 0x7e11, 1, 0o1666)",
    "a queue": "S(68, 0x7e11, 0o1666)",
    "a POSIX queue": "S(240, b'pellucid-escape', 0o102, 0o666, 0)",
    "dev shm": "open('/dev/shm/pellucid-escape', 'w')",
    "a key": "S(248, b'user', b'pellucid-escape', b'x', 1, -4)",
    "tmp": "open('/tmp/pellucid-escape', 'w')",
    "var tmp": "open('/var/tmp/pellucid-escape', 'w')",
    "home": "open(os.path.expanduser('~root') + '/pellucid-escape', 'w')",
    "a cron table": "open('/etc/cron.d/pellucid-escape', 'w')",
    "core pattern": "open('/proc/sys/kernel/core_pattern', 'w').write('|/x')",
    "user namespace": "S(272, 0x10000000)",
    "mount namespace": "S(272, 0x20000)",
    "clone with namespaces": "S(56, 0x10000000 | 17, 0, 0, 0, 0)",
    "clone3": "S(435, ctypes.create_string_buffer(88), 88)",
    "mount": "S(165, b'tmpfs', D.encode(), b'tmpfs', 0, 0)",
    "new mount": "S(428, AT, B, 1)",
    "chroot": "os.chroot(W)",
    "set uid": "os.setuid(0); open(F, 'w')",
    "load a program": "S(321, 5, ctypes.create_string_buffer(120), 120)",
    "io_uring": "S(425, 1, ctypes.create_string_buffer(120))",
    "host name": "socket.sethostname('x')",
    "the clock": "S(227, 0, struct.pack('qq', 0, 0))",
    "lock for others": "fcntl.flock(open(F), fcntl.LOCK_EX)",
}


def snapshot(file: Path, folder: Path, victim: int) -> dict[str, Any]:
    """All of the outside that an attempt might change."""
    stats = {str(path): (os.lstat(path).st_mode, os.lstat(path).st_uid, os.lstat(path).st_gid, os.lstat(path).st_mtime_ns,
                         os.lstat(path).st_nlink, os.listxattr(path)) for path in (file, folder)}  # fmt: skip
    shared = [Path(f"/proc/sysvipc/{kind}").read_text() for kind in ("shm", "sem", "msg")]
    left = [
        str(path)
        for top in ("/dev/shm", "/tmp", "/var/tmp", "/root", "/etc/cron.d", "/dev/mqueue")
        for path in _listed(Path(top))
    ]
    return {
        "stats": stats,
        "text": file.read_text(),
        "names": sorted(os.listdir(folder)),
        "victim": [os.getpriority(os.PRIO_PROCESS, victim), sorted(os.sched_getaffinity(victim)), os.sched_getscheduler(victim),
                   resource.prlimit(victim, resource.RLIMIT_NOFILE), resource.prlimit(victim, resource.RLIMIT_CPU), os.getpgid(victim),
                   Path(f"/proc/{victim}/oom_score_adj").read_text()],
        "shared": [text.count("\n") for text in shared],
        "left": [name for name in left if "pellucid-escape" in name],
        "host": platform.node(),
        "core": Path("/proc/sys/kernel/core_pattern").read_text(),
    }  # fmt: skip


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def test_there_are_80_of_them() -> None:
    assert len(ATTEMPTS) >= 80
    for code in (HEAD, *ATTEMPTS.values()):
        compile(code, "attempt", "exec")


@pytest.mark.parametrize(
    "what", ["chmod", "utime", "setxattr", "append", "symlink there", "link out", "prlimit", "nice", "policy"]
)
def test_the_snapshot_sees_what_an_attempt_does_where_nothing_holds_it(what: str, tmp_path: Path) -> None:
    folder, work = tmp_path / "outside", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    file = folder / "secret.txt"
    file.write_text("of the verifier")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as victim:
        (work / "known.json").write_text(json.dumps({"file": str(file), "folder": str(folder), "victim": victim.pid}))
        before = snapshot(file, folder, victim.pid)
        env = {**os.environ, "WORK": str(work)}
        subprocess.run([sys.executable, "-c", HEAD + ATTEMPTS[what]], env=env, check=True)
        changed = snapshot(file, folder, victim.pid) != before
        victim.kill()
    assert changed


@pytest.mark.parametrize("handicap", HANDICAPS)
def test_nothing_outside_changes(handicap: str, tmp_path: Path) -> None:
    """Each attempt in a process of its own, so that one which ends it or ties its hands spoils no other."""
    if handicap != "no namespaces" and not namespaces(handicap):
        pytest.skip("this system allows no namespaces")
    folder = tmp_path / "outside"
    folder.mkdir()
    file = folder / "secret.txt"
    file.write_text("of the verifier")
    file.chmod(0o600)
    os.setxattr(file, "user.kept", b"1")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as victim:
        try:
            known = {"file": str(file), "folder": str(folder), "victim": victim.pid}
            each = "".join(
                f"if not os.fork():\n    os.dup2(os.open('/dev/null', 1), 2)\n    exec({code!r})\n    os._exit(0)\nos.wait()\n"
                for code in ATTEMPTS.values()
            )
            command = sealed(handicap, tmp_path, HEAD + each)
            (tmp_path / "work" / "known.json").write_text(json.dumps(known))
            before = snapshot(file, folder, victim.pid)
            done = ran(command)
            assert done["code"] == 0, done
            assert victim.poll() is None
            assert snapshot(file, folder, victim.pid) == before
        finally:
            victim.kill()
