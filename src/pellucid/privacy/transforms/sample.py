"""Keyed sampling by person: whoever does not know the key cannot say whether a person's absence means anything."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, ClassVar

from pellucid.errors import DataError, PrivacyError
from pellucid.privacy.parameters import checked_name
from pellucid.privacy.transforms.row_transform import Rows


@dataclass(frozen=True)
class Sample:
    """Keep all rows of about the `share` of the people (values of `unit`), and no row of the others.

    A person is kept when HMAC-SHA256 of their value, under a key derived from the steward's key and the `release` id, lies below the
    share of its range. So it depends on nobody else, is the same each time, and is drawn anew for another release.
    """

    unit: str
    share: float
    release: str

    name: ClassVar[str] = "sample"
    own_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_name("unit", self.unit)
        checked_name("release", self.release)
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 < self.share <= 1:
            raise PrivacyError(f"share must lie above 0 and be at most 1, not {self.share}")

    def parameters(self) -> dict[str, Any]:
        return {"transform": self.name, "version": 1, **vars(self)}

    def merges(self, column: str) -> bool:
        return False

    def apply(self, rows: Rows, key: bytes) -> Rows:
        import pyarrow as pa
        import pyarrow.compute as pc

        from pellucid.privacy.secret_keys import derive

        at, kind = rows.index(self.unit), rows.kind(self.unit)
        if pa.types.is_nested(kind) or pa.types.is_floating(kind):
            raise DataError(f'column "{self.unit}" is of type {kind}, which names nobody')
        own, limit = derive(key, f"transforms/sample/{self.release}"), int(self.share * 2**64)

        def kept(batch: Any) -> Any:
            column = batch.column(at)
            if pa.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            if column.null_count:
                raise DataError(f'column "{self.unit}" has rows without a value', fix="Every row must say whose it is")
            found = column.dictionary_encode()
            texts = found.dictionary.to_pylist() if pa.types.is_binary(kind) else found.dictionary.cast(pa.string()).to_pylist()
            draws = [hmac.digest(own, t if isinstance(t, bytes) else t.encode(), "sha256")[:8] for t in texts]
            chosen = pa.array([int.from_bytes(draw) < limit for draw in draws], pa.bool_())
            return batch.filter(pc.take(chosen, found.indices))

        return rows.map(kept)
