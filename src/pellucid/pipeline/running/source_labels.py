"""One content, one label: data that are or were private do not come in again as an open source.

A content is known by its path and file (device, inode), by the bytes of its file, and by its canonical digest, which stays the same in
another file format. Digests of all sources that are not open are kept in the record, which only its owner can read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pellucid.errors import DataError, LabelError
from pellucid.pipeline.declaration import Bound, Pipeline, Source
from pellucid.pipeline.record import Artifact, Record, file_digest, note_private, private_paths, private_result, private_source
from pellucid.pipeline.running.pipeline_file import files_at, private_files, read_while_loading

_WHY = "what is private would leave as it is"
_FIX = "Label it private too, and release what may be known of it (pl.release)"


def note_private_sources(steps: Iterable[Bound], record: Record) -> None:
    """Note the files of all sources that are not open, before any source is read. Files that are not there yet are left out."""
    for bound in steps:
        if isinstance(bound.node, Source) and not bound.label.is_open and bound.node.path.exists():
            try:
                digest = file_digest(bound.node.path, record, f'source "{bound.name}"')
            except DataError:  # its own step says so, when it comes to it
                continue
            note_private(record.db, [digest, f"file:{digest}"], bound.name, bound.node.path.resolve())


def private_places(pipeline: Pipeline, record: Record) -> list[Path]:
    """The files of the pipeline's sources that are not open, and of those that were not, in any pipeline of this state folder, where they
    still hold the same."""
    found = private_files(pipeline)
    for path, source in private_paths(record.db):
        try:
            digest = file_digest(path, record, f'source "{source}"', may_be_empty=True)
        except DataError:  # it is gone, or it is no data any more
            continue
        if private_source(record.db, [digest]) is not None:
            found += files_at(path)
    return found


def refuse_private_loading(pipeline: Pipeline, record: Record) -> None:
    """Raise LabelError where the pipeline file read, while it was loaded, what is or was not open in any pipeline of this state folder:
    the content of a private source, or the result of a step that is not open.
    """
    for name, lines in pipeline.loading.files if pipeline.loading is not None else ():
        path = Path(name)
        if not path.is_file() or path.stat().st_size == 0:
            continue
        digest = file_digest(path, record, name)
        source = private_source(record.db, [digest, f"file:{digest}"]) or private_result(record.db, digest)
        if source is not None:
            own = str(pipeline.file)
            place = next((f"{file}:{line}" for file, line in sorted(lines, key=lambda at: (at[0] != own, at))), own)
            raise read_while_loading(path, place, f'it is what "{source}" has, which is or was not open')


def refuse_private_file(bound: Bound, digest: str, record: Record) -> None:
    """Raise LabelError where an open source's file has the bytes of one that is or was not open."""
    if bound.label.is_open:
        _refuse(bound.name, private_source(record.db, [digest, f"file:{digest}"]))


def check_content(
    bound: Bound, outputs: Mapping[str, Artifact], steps: Mapping[str, Bound], known: Mapping[str, Artifact], record: Record
) -> None:
    """Raise LabelError where this source's content is open here and private elsewhere: in the record, or among the `known` artifacts of
    the run. Otherwise note it if it is not open."""
    digests = {artifact.digest for artifact in outputs.values()}
    if bound.label.is_open:
        _refuse(bound.name, private_source(record.db, digests))
        return
    note_private(record.db, digests, bound.name)
    for name, other in steps.items():
        if (
            isinstance(other.node, Source)
            and other.label.is_open
            and any(known[output].digest in digests for output, *_ in other.outputs if output in known)
        ):
            _refuse(name, bound.name)


def _refuse(name: str, private: str | None) -> None:
    if private is not None:
        raise LabelError(
            f'the open source "{name}" has the content of "{private}", which is or was not open',
            where=f'source "{name}"',
            why=_WHY,
            fix=_FIX,
        )
