"""Exchange: an index as a file that other search engines read, and theirs as an index.

May import the modules of the search room, and what they may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.search.exchange.ciff import read_ciff, write_ciff

__all__ = ["read_ciff", "write_ciff"]

__getattr__ = lazy_names(__name__, {"ciff": ("read_ciff", "write_ciff")})
