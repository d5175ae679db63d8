"""Keyed pseudonyms: stand-ins that only the steward's key could join to the names, or to another release's."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, ClassVar

from pellucid.errors import DataError
from pellucid.privacy.parameters import checked_name
from pellucid.privacy.transforms.row_transform import Rows


@dataclass(frozen=True)
class Pseudonym:
    """Replace each value of `column` by 32 hexadecimal digits: HMAC-SHA256 of its text, cut to 128 bits.

    The key is derived (HKDF) from the steward's key, the `release` id and the `namespace`, so the same person has unrelated pseudonyms in
    two releases, and the tables do not join. Columns that must join within a release share a namespace (by default their name).
    What else stands in the rows still joins them: see `pellucid.privacy.assess.uniqueness`. Missing values stay missing.
    """

    column: str
    release: str
    namespace: str = ""

    name: ClassVar[str] = "pseudonym"
    own_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_name("column", self.column)
        checked_name("release", self.release)

    def parameters(self) -> dict[str, Any]:
        return {"transform": self.name, "version": 1, **vars(self)}

    def merges(self, column: str) -> bool:
        return False

    def apply(self, rows: Rows, key: bytes) -> Rows:
        import pyarrow as pa
        import pyarrow.compute as pc

        from pellucid.privacy.secret_keys import derive

        kind = rows.kind(self.column)
        if pa.types.is_nested(kind) or pa.types.is_floating(kind):
            raise DataError(f'column "{self.column}" is of type {kind}, which names nobody', fix="Name a column of ids or names")
        own = derive(key, f"transforms/pseudonym/{len(self.release)}/{self.release}/{self.namespace or self.column}")

        def change(column: Any) -> Any:
            found = column.dictionary_encode()
            texts = found.dictionary.to_pylist() if pa.types.is_binary(kind) else found.dictionary.cast(pa.string()).to_pylist()
            names = [hmac.digest(own, t if isinstance(t, bytes) else t.encode(), "sha256")[:16].hex() for t in texts]
            return pc.take(pa.array(names, pa.string()), found.indices)

        return rows.with_column(self.column, pa.string(), change)
