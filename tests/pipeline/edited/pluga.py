"""A plug-in."""


def give():
    return 1
