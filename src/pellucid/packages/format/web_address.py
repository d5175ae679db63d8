"""Addresses that people type: taken apart, shown without secrets, and refused where they carry any.

What stands before an "@" or after a "?" may be a password or a token. It is in no message, and an address that has it is not used: a
token comes from the environment, and an address ends up in logs and on pages.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from pellucid.errors import UsageError
from pellucid.packages.format.json_text import printable


def public(url: str) -> str:
    """The address as it may be shown: on one line, bounded, without user, password, question and fragment."""
    plain = url.partition("?")[0].partition("#")[0]
    front, at, rest = plain.rpartition("@")
    scheme = front.partition("://")[0] + "://" if "://" in front else ""
    return printable(f"{scheme}{rest}" if at else plain)[:200]


def parsed(url: str, *, where: str, fix: str) -> SplitResult:
    """The parts of an http(s) address with a host, a port that can be one, and no credentials. Raises UsageError."""
    try:
        known = urlsplit(url)
        possible = known.scheme in ("http", "https") and bool(known.hostname) and known.port != 0 and url.isascii()
        possible = possible and url.isprintable() and " " not in url
    except ValueError:  # a port above 65535, a bracket that is not closed
        known, possible = urlsplit(""), False
    if "@" in url.partition("://")[2].partition("/")[0] or (not possible and "@" in url):
        raise UsageError(
            "an address must not hold a name or password", where=where, why=f"what is shown of it: {public(url)!r}", fix=fix
        )
    if not possible:
        raise UsageError(f"{public(url)!r:.80} is no address", where=where, fix=fix)
    return known
