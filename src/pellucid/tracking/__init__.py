"""Tracking: runs mirrored into other people's trackers. The record stays the source of truth; what is not open never leaves.

May import `pipeline`, `store` and below; each tracker is one file, imported only when used.
"""
