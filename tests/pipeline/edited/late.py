"""Imported inside of a function."""

VALUE = 1
