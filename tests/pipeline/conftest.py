"""The fixtures of the workshop, for every test of the room."""

from workshop import project

__all__ = ["project"]
