"""A module of a package."""

from . import base


def rate():
    return base.RATE * 2
