"""What a sibling imports."""

RATE = 5
