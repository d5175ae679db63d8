"""Names in text by pattern: e-mail, IP, URL, phone, handle. Only how many cells hold one is told, never what they hold.

Patterns find what looks like a name; what they find may be none, and most names of people look like nothing at all. So a count of
0 is no proof, and text about people is not made safe by removing what was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_OCTET = r"(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_H = r"[0-9a-fA-F]{1,4}"
_V6 = rf"(({_H}:){{7}}{_H}|({_H}:){{1,6}}(:{_H}){{1,6}}|({_H}:){{1,7}}:|::({_H}:){{0,6}}{_H})"
_PHONE = (
    r"(^|[^0-9A-Za-z.,:/+#-])(\+[0-9]{1,3}[ .-]?)?(\([0-9]{2,4}\)[ .-]?|[0-9]{2,4}[ .-])[0-9]{3,4}[ .-]?[0-9]{3,4}"
    r"($|[^0-9A-Za-z:/.-]|\.($|\s))|(^|[^0-9A-Za-z])\+[0-9]{8,14}($|[^0-9])"
)

# RE2 (Arrow's engine): no look-around, so what must not stand beside a match is part of the pattern. Linear time on any text.
PATTERNS: Mapping[str, str] = {
    "e-mail": r"(^|[^A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    "IPv4": rf"(^|[^0-9.])({_OCTET}\.){{3}}{_OCTET}($|[^0-9.]|\.($|[^0-9]))",
    "IPv6": rf"(^|[^0-9a-zA-Z:.]){_V6}($|[^0-9a-zA-Z:])",
    "URL": r"(?i)\b((https?|ftp)://[^\s<>\"]+|www\.[a-z0-9-]+\.[a-z][^\s<>\"]*)",
    "phone": _PHONE,
    "handle": r"(^|[^A-Za-z0-9_@./])@[A-Za-z_][A-Za-z0-9_.-]{1,38}",
    "addressed name": r"^\s*[A-Za-z_\[\]\\`^{}|][A-Za-z0-9_\[\]\\`^{}|-]{1,30}[:,] ",  # "nick: ...", as in chats
}
"""What is looked for, by kind, in the syntax of RE2."""


def count(column: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """How many cells of a text column hold each kind; every kind is there, with 0 where none was found."""
    import pyarrow.compute as pc

    found = {}
    for kind, pattern in PATTERNS.items():
        hits: Any = pc.sum(pc.match_substring_regex(column, pattern)).as_py()
        found[kind] = int(hits or 0)
    return found
