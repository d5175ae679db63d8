"""Data: readers that turn files as people have them into streams of Arrow record batches.

`open_table` is the door: it finds the reader by name or by the file's suffix, checks the options, and returns a
`pyarrow.RecordBatchReader`, so files larger than memory are normal. A reader is one module of this room (see `Reader` for the
protocol) and a line in `READERS`, or an entry point in the group `pellucid.readers` of another package.

What cannot be read raises DataError: one line with the file, the place in it, the reason and the way out. An error deep in a
file is raised when the stream gets there. The room imports nothing of pellucid but its errors; pyarrow and ijson load on use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.data.reader import READERS, Reader, detect, is_file, open_table

__all__ = ["READERS", "Reader", "detect", "is_file", "open_table"]

__getattr__ = lazy_names(
    __name__,
    {
        "reader": (
            "READERS",
            "Reader",
            "detect",
            "is_file",
            "open_table",
        ),
    },
)
