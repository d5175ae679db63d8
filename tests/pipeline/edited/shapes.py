"""A class and its base class."""

from solid import Solid


class Square(Solid):
    def area(self):
        return self.side**2 * self.factor
