"""Three imports away."""

THREE = 3
