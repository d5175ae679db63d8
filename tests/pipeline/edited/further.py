"""Two imports away."""

from furthest import THREE


def two():
    return THREE + 1
