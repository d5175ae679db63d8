"""One of two."""

SIZE = 100
