"""Format: a package on disk.

Manifest, naming rules, list of files (fixity), archive, lock files, wheel, origins, signature, and JSON from strangers. Everything is
read as a stranger's word: within bounds, and each part of its kind. May import the store, and of the pipeline the declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.format.archive import MAX_UNPACKED
    from pellucid.packages.format.guarantee_schema import is_number
    from pellucid.packages.format.json_text import MAX_BYTES, as_json, parse_json, printable, read_json, reading, refuse, take
    from pellucid.packages.format.manifest import GIVEN, OTHER_KERNEL, PRIVATE, RERUN, Entry, Manifest, Value
    from pellucid.packages.format.origin import quoted, refuse_changed
    from pellucid.packages.format.origin_chain import chain, origin_of
    from pellucid.packages.format.signature import Signed
    from pellucid.packages.format.uv import uv_command, uv_settings
    from pellucid.packages.format.web_address import parsed, public

__all__ = [
    "GIVEN",
    "MAX_BYTES",
    "MAX_UNPACKED",
    "OTHER_KERNEL",
    "PRIVATE",
    "RERUN",
    "Entry",
    "Manifest",
    "Signed",
    "Value",
    "as_json",
    "chain",
    "is_number",
    "origin_of",
    "parse_json",
    "parsed",
    "printable",
    "public",
    "quoted",
    "read_json",
    "reading",
    "refuse",
    "refuse_changed",
    "take",
    "uv_command",
    "uv_settings",
]

__getattr__ = lazy_names(
    __name__,
    {
        "archive": ("MAX_UNPACKED",),
        "guarantee_schema": ("is_number",),
        "manifest": (
            "Entry",
            "GIVEN",
            "Manifest",
            "OTHER_KERNEL",
            "PRIVATE",
            "RERUN",
            "Value",
        ),
        "origin": (
            "quoted",
            "refuse_changed",
        ),
        "origin_chain": (
            "chain",
            "origin_of",
        ),
        "signature": ("Signed",),
        "json_text": (
            "MAX_BYTES",
            "as_json",
            "parse_json",
            "printable",
            "read_json",
            "reading",
            "refuse",
            "take",
        ),
        "uv": (
            "uv_command",
            "uv_settings",
        ),
        "web_address": (
            "parsed",
            "public",
        ),
    },
)
