"""The other of two."""

SIZE = 1
