"""One import away."""

import further


def one():
    return further.two() + 1
