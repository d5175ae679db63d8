"""The service that the tests of this folder ask."""

from served_shop import serving, shop

__all__ = ["serving", "shop"]
