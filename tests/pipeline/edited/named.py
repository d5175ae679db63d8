"""Imported by import_module."""

VALUE = 1
