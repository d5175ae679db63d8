"""Pellucid: private usage data in, verified open models out."""

__version__ = "0.1.0"
