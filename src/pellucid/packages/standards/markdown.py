"""Text that others chose, as it may stand in Markdown: nothing in it is markup."""

from __future__ import annotations

import re

from pellucid.packages.format import printable


def plain(text: object) -> str:
    """As prose, or as a cell of a table."""
    return re.sub(r"([\\`*\[\]<>|#!~])", r"\\\1", " ".join(printable(str(text)).split()))


def code(text: object) -> str:
    """As code, also in a cell of a table."""
    return "`" + " ".join(printable(str(text)).replace("`", "'").replace("|", "\\|").split()) + "`"
