"""Hostile code in a re-run: what it tries to read, to reach, to leave behind and to use up, with every means of the kernel and without."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cells import HANDICAPS, HEARTBEAT, TOKEN, beats, namespaces, ran, sealed

from pellucid.sandbox import capabilities, landlock, seccomp

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="there is no filter for this machine"),
]
OUTSIDE = "a file that nobody named"

PROBE = (
    HEARTBEAT
    + """
import ctypes, errno, json, socket, sys
known = json.load(open(os.path.join(os.environ["WORK"], "known.json")))
found = {}
def tries(name, act):
    try:
        found[name] = repr(act())
    except BaseException as error:
        found[name] = None
def environs():
    seen = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        for file in ("environ", "cmdline", "maps"):
            try:
                if known["token"].encode() in open(f"/proc/{name}/{file}", "rb").read():
                    seen.append(name)
            except OSError:
                pass
    if not seen:
        raise LookupError
    return seen
def parents():
    at = open(f"/proc/{known['verifier']}/environ", "rb").read()
    return at
def others():
    at = [name for name in os.listdir("/proc") if name.isdigit() and open(f"/proc/{name}/stat").read()]
    return at[9]
def unix():
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(known["socket"])
        plain.send(b"out")
def datagram():
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.connect(known["datagrams"])
    one.send(b"out")
def raw():
    if ctypes.CDLL(None).socket(1, 1, 0) < 0:
        raise OSError
def abstract():
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(known["abstract"])
def tcp():
    socket.create_connection(("127.0.0.1", known["port"]), timeout=1)
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.sendto(b"out", ("127.0.0.1", known["udp"]))
def vsock():
    with socket.socket(40, socket.SOCK_STREAM):
        pass
def ring():
    if ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120)) < 0:
        raise OSError
def rejoin():
    fd = os.open(f"/proc/{known['verifier']}/ns/net", os.O_RDONLY)
    if ctypes.CDLL(None).setns(fd, 0):
        raise OSError
def root():
    return open(f"/proc/{known['verifier']}/root{known['outside']}").read()
def ended():
    os.kill(known["verifier"], 0)
for name, act in dict(environs=environs, parents=parents, unix=unix, datagram=datagram, raw=raw, abstract=abstract, tcp=tcp,
                      udp=udp, vsock=vsock, ring=ring, rejoin=rejoin, root=root, ended=ended, others=others,
                      outside=lambda: open(known["outside"]).read(),
                      spoil=lambda: open(known["outside"], "w"),
                      script=lambda: open(__file__, "a"),
                      hosts=lambda: open("/etc/passwd").read(),
                      core=lambda: open("/proc/sys/kernel/core_pattern", "w"),
                      shm=lambda: open("/dev/shm/left-behind", "w")).items():
    tries(name, act)
pair = socket.socketpair()
pair[0].send(b"kept")
found["pair"] = pair[1].recv(9).decode()
known_lines = ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp:")
found["status"] = [line.split() for line in open("/proc/self/status") if line.startswith(known_lines)]
heart(os.path.join(os.environ["WORK"], "heart"))
json.dump(found, open(os.path.join(os.environ["WORK"], "found.json"), "w"))
"""
)
NEVER = {
    "environs", "parents", "unix", "datagram", "raw", "abstract", "tcp", "udp", "vsock", "ring", "rejoin", "root", "ended", "outside",
    "spoil", "script", "hosts", "core", "shm",
}  # fmt: skip


@pytest.mark.parametrize("handicap", HANDICAPS)
def test_hostile_code_reads_reaches_and_leaves_behind_nothing(handicap: str, tmp_path: Path) -> None:
    if handicap != "no namespaces" and not namespaces(handicap):
        pytest.skip("this system allows no namespaces")
    outside = tmp_path / "outside.txt"
    outside.write_text(OUTSIDE)
    with (
        socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX) as abstract, socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):  # fmt: skip
        place = Path("/tmp", f"pellucid-{os.getpid()}")  # the path of a socket is short
        name = f"\0pellucid-{os.getpid()}-{handicap}"
        known = {"token": TOKEN, "verifier": os.getpid(), "outside": str(outside), "abstract": name}
        try:
            listening.bind(f"{place}.stream")
            datagrams.bind(f"{place}.datagram")
            abstract.bind(name)
            udp.bind(("127.0.0.1", 0))
            for one in (listening, abstract):
                one.listen()
            known |= {"socket": f"{place}.stream", "datagrams": f"{place}.datagram"}
            known |= {"port": server.getsockname()[1], "udp": udp.getsockname()[1]}
            command = sealed(handicap, tmp_path, PROBE)
            (tmp_path / "work" / "known.json").write_text(json.dumps(known))
            told = ran(command)
            for one in (listening, datagrams, abstract, server, udp):
                one.setblocking(False)
                with pytest.raises(BlockingIOError):
                    one.recv(9) if one in (datagrams, udp) else one.accept()
        finally:
            Path(f"{place}.stream").unlink(missing_ok=True)
            Path(f"{place}.datagram").unlink(missing_ok=True)
    assert told["code"] == 0, told
    found = json.loads((tmp_path / "work" / "found.json").read_text())
    assert {what for what in NEVER if found[what] is not None} == set()
    assert found["pair"] == "kept"
    assert not beats(tmp_path)
    assert outside.read_text() == OUTSIDE
    status = dict(found["status"])
    assert (int(status["CapEff:"], 16), int(status["CapBnd:"], 16) if os.geteuid() == 0 else 0) == (0, 0)
    assert (status["NoNewPrivs:"], status["Seccomp:"]) == ("1", "2")
    if handicap == "no namespaces":
        assert told["network"] == "none (system call filter); unix sockets: none"
        assert told["files"] == f"landlock {landlock.abi()}; its processes: ended one by one"
    else:
        assert found["others"] is None
        assert told["network"] == "none (namespace); unix sockets: none"
        assert told["files"] == f"a file tree of its own, landlock {landlock.abi()}; its processes: ended with it"


@pytest.mark.quick(2)
@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("handicap", HANDICAPS)
def test_ending_the_verifier_ends_what_it_runs(handicap: str, ends: signal.Signals, tmp_path: Path) -> None:
    program = HEARTBEAT + "heart(os.path.join(os.environ['WORK'], 'heart'))\ntime.sleep(60)\n"
    with subprocess.Popen(sealed(handicap, tmp_path, program), stdout=subprocess.DEVNULL) as verifier:
        until = time.monotonic() + 30
        while not (tmp_path / "work" / "heart").exists():
            assert time.monotonic() < until and verifier.poll() is None
            time.sleep(0.02)
        verifier.send_signal(ends)
        verifier.wait(10)
        while beats(tmp_path):
            assert time.monotonic() < until


GREEDY = {
    "time": ("import time; time.sleep(60)", "it took longer than the 2 s it may"),
    "memory of one": ("x = bytearray(1 << 30)", "MemoryError"),
    "memory of many": (
        "import os, time\nfor _ in range(8):\n    if not os.fork():\n        x = b'x' * (100 << 20); time.sleep(60)\ntime.sleep(60)",
        "it took more than the 0.25 GiB of memory it may",
    ),
    "one file": ("open('large', 'wb').write(b'x' * (100 << 20))", "File too large"),
    "files without a name": (
        ("import os\nkept = []\nwhile True:\n    kept.append(open('part', 'wb'))\n    os.unlink('part')\n"
        "    kept[-1].write(b'x' * (16 << 20))\n    kept[-1].flush()"),
        "it wrote more than the 0.0625 GiB it may",
    ),
    "processes": (
        "import os, time\nfor _ in range(2100):\n    if not os.fork():\n        time.sleep(60); os._exit(0)\ntime.sleep(60)",
        "it started more than 2,000 processes",
    ),
}  # fmt: skip


@pytest.mark.quick(3)
@pytest.mark.parametrize("greed", GREEDY)
def test_what_a_re_run_may_use_is_bounded(greed: str, tmp_path: Path) -> None:
    program, said = GREEDY[greed]
    seconds = 2 if greed == "time" else 50
    memory = 1 << 34 if greed == "processes" else 1 << 28
    disk = 1 << 26 if "file" in greed else 1 << 50  # what others write meanwhile counts too
    told = ran(sealed("as it is", tmp_path, program, (seconds, memory, disk)))
    assert said in (told["last"] if greed == "one file" else told["stopped"] or told["last"]), told
    assert told["code"] != 0


def test_the_filter_lets_nothing_through_that_it_does_not_know() -> None:
    """By the filter itself, run here: each call and argument, on each machine that it is written for."""
    x86 = seccomp.program("x86_64", inet=True)
    allow, family, none = 0x7FFF0000, 0x50000 | 97, 0x50000 | 38
    cases = {
        (0xC000003E, 41, 1, 1): family, (0xC000003E, 41, 2, 1): allow, (0xC000003E, 41, 10, 2): allow, (0xC000003E, 41, 16, 3): allow,
        (0xC000003E, 41, 40, 1): family, (0xC000003E, 41, 17, 3): family, (0xC000003E, 53, 1, 1): allow,
        (0xC000003E, 53, 1, 1 | 0o2000000): allow, (0xC000003E, 53, 1, 2): family, (0xC000003E, 53, 1, 2 | 0o2000000): family,
        (0xC000003E, 53, 1, 5): family, (0xC000003E, 425, 0, 0): none, (0xC000003E, 250, 0, 0): none, (0xC000003E, 0, 0, 0): allow,
        (0xC000003E, 0x40000000 | 41, 1, 1): none, (0x40000003, 102, 1, 1): none, (0x40000003, 0, 0, 0): none,
    }  # fmt: skip
    assert {case: _answer(x86, case) for case in cases} == cases
    assert _answer(seccomp.program("x86_64", inet=False), (0xC000003E, 41, 2, 1)) == family
    arm = seccomp.program("aarch64", inet=False)
    assert [_answer(arm, (0xC00000B7, number, 1, 1)) for number in (198, 199, 425, 63)] == [family, allow, none, allow]


def _answer(program: bytes, call: tuple[int, int, int, int]) -> int:
    """Run a filter on (architecture, number, first argument, second)."""
    import struct

    which, number, first, second = call
    data = struct.pack("<IIQQQQQQQ", number, which, 0, first, second, 0, 0, 0, 0)
    lines = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        code, yes, no, operand = lines[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code == 0x54:
            value &= operand
        else:
            at += yes if (value == operand if code == 0x15 else value >= operand) else no


def test_capabilities_that_were_given_up_do_not_come_back() -> None:
    program = (
        "import os, subprocess, sys\nfrom pellucid.sandbox import capabilities\ncapabilities.drop_all()\n"
        "print(subprocess.run(['cat', '/proc/self/status'], capture_output=True, text=True).stdout)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    status = dict(line.split(":\t") for line in done.stdout.splitlines() if line.startswith(("Cap", "NoNew")))
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert isinstance(capabilities.libc(), ctypes.CDLL)
