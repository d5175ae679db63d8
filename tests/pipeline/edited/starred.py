"""Takes all it can get."""

from stars import *  # noqa: F403


def value():
    return STAR  # noqa: F405
