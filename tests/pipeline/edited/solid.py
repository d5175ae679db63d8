"""The base of a class."""


class Solid:
    factor = 1

    def __init__(self, side):
        self.side = side
