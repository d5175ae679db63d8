"""Functions that are called because they were registered, and a module nobody imports by a name one can see."""

from importlib import import_module

FUNCTIONS = []


def register(function):
    FUNCTIONS.append(function)
    return function


for name in ("plug" + letter for letter in "ab"):
    register(import_module(name).give)


def call_all():
    return sum(function() for function in FUNCTIONS)
