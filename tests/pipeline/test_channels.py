"""A step reaches no other process and leaves nothing behind but its result: every way is tried in a worker, as native code would."""

from __future__ import annotations

import os
import stat

import pytest
from workshop import *  # noqa: F403

PROBE = r"""
import ctypes, os, platform, socket, struct
X86 = platform.machine() == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)
PARENT = os.getppid()

def call(x86, arm, *arguments):
    ctypes.set_errno(0)
    return libc.syscall(x86 if X86 else arm, *arguments) >= 0

def opens(family, kind):
    try:
        socket.socket(family, kind).close()
        return True
    except OSError:
        return False

def pair(kind):
    try:
        for end in socket.socketpair(socket.AF_UNIX, kind):
            end.close()
        return True
    except OSError:
        return False

def does(act):
    try:
        act()
        return True
    except Exception:
        return False

B = OTHER.encode()
WAYS = {
    "setxattr": lambda: call(188, 5, B, b"user.x", b"1", 1, 0), "lsetxattr": lambda: call(189, 6, B, b"user.x", b"1", 1, 0),
    "getxattr": lambda: call(191, 8, B, b"user.y", ctypes.create_string_buffer(9), 9), "listxattr": lambda: call(194, 11, B, None, 0),
    "removexattr": lambda: call(197, 14, B, b"user.y"),
    "shmget": lambda: call(29, 194, 0x5EC, 4096, 0o1666), "semget": lambda: call(64, 190, 0x5EC, 1, 0o1666),
    "msgget": lambda: call(68, 186, 0x5EC, 0o1666), "mq_open": lambda: call(240, 180, b"x", 0o102, 0o666, None),
    "keyctl": lambda: call(250, 219, 0, -3, 1), "add_key": lambda: call(248, 217, b"user", b"x", b"1", 1, -4),
    "io_uring": lambda: call(425, 425, 1, ctypes.create_string_buffer(120)),
    "ptrace": lambda: call(101, 117, 16, PARENT, 0, 0),
    "process_vm_readv": lambda: call(310, 270, PARENT, None, 0, None, 0, 0),
    "perf_event_open": lambda: call(298, 241, ctypes.create_string_buffer(b"\0" * 4 + struct.pack("I", 112), 112), 0, -1, -1, 0),
    "bpf": lambda: call(321, 280, 0, None, 0), "userfaultfd": lambda: call(323, 282, 0),
    "unshare user": lambda: call(272, 97, 0x10000000), "unshare net": lambda: call(272, 97, 0x40000000),
    "unshare ipc": lambda: call(272, 97, 0x08000000), "unshare pid": lambda: call(272, 97, 0x20000000),
    "clone user": lambda: clone(0x10000000), "clone net": lambda: clone(0x40000000), "clone mount": lambda: clone(0x00020000),
    "clone3": lambda: call(435, 435, ctypes.create_string_buffer(struct.pack("QQQQQQQQ", 0, 0, 0, 0, 17, 0, 0, 0), 64), 64),
    "mount": lambda: call(165, 40, b"x", b"/mnt", b"tmpfs", 0, None), "chroot": lambda: call(161, 51, b"/"),
    "prlimit of another": lambda: call(302, 261, PARENT, 7, None, ctypes.create_string_buffer(16)),
    "affinity of another": lambda: call(203, 122, PARENT, 8, ctypes.create_string_buffer(b"\1", 8)),
    "chown": lambda: call(92 if X86 else 54, 54, B, 1, 1),
    "unix socket": lambda: opens(socket.AF_UNIX, socket.SOCK_STREAM), "unix datagram": lambda: opens(socket.AF_UNIX, socket.SOCK_DGRAM),
    "vsock": lambda: opens(40, socket.SOCK_STREAM), "packet socket": lambda: opens(17, socket.SOCK_RAW),
    "pair of datagrams": lambda: pair(socket.SOCK_DGRAM),
    "send tcp": lambda: does(lambda: socket.create_connection(("127.0.0.1", PORT), 1)),
    "send udp": lambda: does(lambda: native_udp()),
    "signal": lambda: does(lambda: os.kill(PARENT, 0)) and not X86,
    "write beside": lambda: write(B), "write /tmp": lambda: write(b"/tmp/pellucid-left"), "write /dev/shm": lambda: write(b"/dev/shm/pellucid-left"),
    "memory of the parent": lambda: libc.open(f"/proc/{PARENT}/mem".encode(), 2) >= 0,
    "environment of the parent": lambda: libc.open(f"/proc/{PARENT}/environ".encode(), 0) >= 0,
    "another process": lambda: libc.open(b"/proc/1/environ", 0) >= 0,
}

def clone(flags):
    return call(56, 220, flags | 17, None, None, None, None)

def write(path):
    fd = libc.open(path, 0o1101, 0o666)
    return fd >= 0 and libc.write(fd, b"left", 4) == 4

def native_udp():
    fd = libc.socket(2, 2, 0)
    address = struct.pack("=HHI8x", 2, socket.htons(PORT), 0x0100007F)
    if fd < 0 or libc.sendto(fd, b"left", 4, 0, address, 16) < 0:
        raise OSError

def habits():
    libc.chmod(B, 0o777)
    libc.utimes(B, struct.pack("qqqq", 1, 0, 1, 0))
"""


@pytest.mark.parametrize("namespaces", [True, False], ids=["as-it-is", "no-namespaces"])
def test_no_channel_leads_out_of_a_worker(project, namespaces: bool) -> None:
    import socket

    project.write(rows_csv="n\n1\n")
    other = project.folder / "other.txt"
    other.write_text("as it was")
    other.chmod(0o640)
    os.utime(other, (1_600_000_000, 1_600_000_000))
    before = other.stat()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener, socket.create_server(("127.0.0.1", 0)) as tcp:
        listener.bind(tcp.getsockname())
        listener.settimeout(0.5)
        project.write(
            pipeline=f"""
OTHER, PORT = {str(other)!r}, {tcp.getsockname()[1]}
{PROBE}
rows = pl.source("rows.csv", label="open")
@pl.step
def tries(rows: pl.Table) -> pl.Metrics:
    habits()
    return {{name: float(bool(way())) for name, way in WAYS.items()}}
pipeline = pl.Pipeline("channels", [rows, tries])
"""
        )
        if namespaces:
            done = project.run()
        else:
            script = (
                "import sys; from pellucid.sandbox import namespaces, landlock; namespaces.leave = lambda *_: False\n"
                "landlock._unconnected = lambda: False\nfrom pellucid.pipeline.running import zygote\n"
                "sys.argv = ['zygote', *sys.argv[1:]]\nzygote.main()\n"
            )
            (project.folder / "zygote_without.py").write_text(script)
            runner = (
                "import sys, subprocess; real = subprocess.Popen\n"
                "def popen(command, *given, **more):\n"
                "    if 'pellucid.pipeline.running.zygote' in command:\n"
                f"        command = [command[0], {str(project.folder / 'zygote_without.py')!r}, *command[3:]]\n"
                "    return real(command, *given, **more)\n"
                "subprocess.Popen = popen\nfrom pellucid.cli.main import main\nsys.exit(main(sys.argv[1:]))\n"
            )
            import subprocess
            import sys

            ran = subprocess.run(
                [sys.executable, "-c", runner, "run", "pipeline.py", "--json", "--quiet"],
                cwd=project.folder, env=environ({}), capture_output=True, text=True, check=False,  # noqa: F405
            )  # fmt: skip
            done = Done(ran.returncode, ran.stdout, ran.stderr)  # noqa: F405
        assert done.code == 0, done.err
        found = done.json["steps"]["tries"]["metrics"]
        assert len(found) >= 40
        assert sorted(name for name, worked in found.items() if worked) == []
        with pytest.raises(TimeoutError):
            listener.recv(10)
    after = other.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640 and other.read_text() == "as it was"
    assert (after.st_mtime, after.st_uid) == (before.st_mtime, before.st_uid)
