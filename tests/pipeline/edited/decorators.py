"""A decorator from another file."""

import functools


def doubled(function):
    @functools.wraps(function)
    def wrapper():
        return {"value": function()["value"] * 2}

    return wrapper
