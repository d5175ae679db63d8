"""What a star import brings."""

STAR = 6
