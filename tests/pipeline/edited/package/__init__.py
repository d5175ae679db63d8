"""A package that hands on what its modules define."""

from .rates import rate

__all__ = ["rate"]
