"""No secret outlives its call: the whole memory of a later worker holds no key, digest, private cell or environment value of the run."""

from __future__ import annotations

import sqlite3

import pytest
from workshop import *  # noqa: F403

from pellucid.pipeline.record import Record
from pellucid.privacy.secret_keys import derive, release_key, steward_key

CELL, PRINTED, ENVIRONMENT = "Zebulon-4711-cell", "printed-4712-words", "hunter2-4714-value"


@pytest.mark.slow
def test_a_later_worker_holds_nothing_of_the_steps_before_it(project) -> None:
    """An open step writes down all of its own writable memory, and the test looks through it from outside."""
    rows = "\n".join(f"{n},{CELL if n % 2 else 'Quagmire'}" for n in range(40))
    project.write(
        visits_csv=f"user_id,area\n{rows}\n",
        pipeline=f"""
        import os
        visits = pl.source("visits.csv", label="private", unit="user_id")
        hidden = pl.protect(pl.privacy.transforms.Pseudonym("user_id", "first"), of=visits)
        @pl.step
        def talks(hidden: pl.Table, visits: pl.Table) -> pl.Metrics:
            print("".join(reversed("{PRINTED[::-1]}")))
            return {{"n": float(len(visits.polars().collect()))}}
        matrix = pl.release(pl.privacy.histogram("area"), of=visits, epsilon=1.0, delta=1e-6)
        @pl.step
        def memory(matrix: pl.Table) -> pl.File:
            import ctypes
            libc = ctypes.CDLL(None)
            fd = libc.open(b"/proc/self/maps", 0)
            text, buffer = b"", ctypes.create_string_buffer(1 << 16)
            while (count := libc.read(fd, buffer, 1 << 16)) > 0:
                text += buffer.raw[:count]
            with open("memory.bin", "wb") as file:
                for line in text.decode().splitlines():
                    place, mode = line.split()[:2]
                    start, end = (int(part, 16) for part in place.split("-"))
                    if mode.startswith("rw") and "[v" not in line and end - start < 1 << 30:
                        file.write(ctypes.string_at(start, end - start))
            return "memory.bin"
        pipeline = pl.Pipeline("memory", [visits, hidden, talks, matrix, memory])
        """,
    )
    done = project.run("--jobs", "1", AWS_SECRET_ACCESS_KEY=ENVIRONMENT, PELLUCID_KEYS=str(project.folder / "keys"))
    assert done.code == 0, done.err
    record = Record(project.home)
    try:
        steps = record.steps(done.json["run"])
        (released,) = (step for step in steps if step.step == "matrix")
        secret = {
            leaf
            for step in steps
            if step.label != "open"
            for made in step.outputs.values()
            for leaf in (made.digest, made.sha256)
        }
        place = next(made for step in steps if step.step == "memory" for made in step.outputs.values())
    finally:
        record.close()
    memory = (project.home / "objects" / place.sha256[:2] / f"{place.sha256}{place.suffix}").read_bytes()
    assert len(memory) > 10_000_000 and released.outputs["matrix"].sha256.encode() in memory, "it is the worker's whole memory"
    needles = {
        "a private cell": CELL, "what a step printed": PRINTED, "a value of the environment": ENVIRONMENT,
        **{f"digest {value[:14]}": value.rpartition(":")[2] for value in secret},
    }  # fmt: skip
    found = [what for what, text in needles.items() if text.encode() in memory or text.encode("utf-16-le") in memory]
    with sqlite3.connect(project.home / "pellucid.db") as db:
        ((release,),) = db.execute("SELECT DISTINCT release FROM ledger WHERE kind = 'spend'").fetchall()
    key = steward_key(project.folder / "keys")
    keys = {
        "the steward's key": key,
        "the key of the noise": release_key(key, release),
        "the key of pseudonyms": derive(key, "protect/first"),
    }
    found += [what for what, secret in keys.items() if secret in memory or secret.hex().encode() in memory]
    assert found == []
