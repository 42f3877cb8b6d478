"""Sets of numbers kept as ranges, so that a million frames in a row take the memory of one. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """Whole numbers, kept as ranges that neither touch nor overlap.

    >>> some = Ranges([(1, 3), (5, 9)])
    >>> some.add(4); some.discard(7)
    >>> list(some.pairs()), 4 in some, len(some)
    ([(1, 6), (8, 9)], True, 8)
    """

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in pairs:
            self.add(first, last)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield the first and the last number of each range, in order."""
        return zip(self._firsts, self._lasts, strict=True)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.pairs())

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and (self._firsts, self._lasts) == (other._firsts, other._lasts)

    def __repr__(self) -> str:
        return f"Ranges({list(self.pairs())})"

    def add(self, first: int, last: int | None = None) -> None:
        """Add the numbers from *first* to *last*; ``None``: *first* alone."""
        last = first if last is None else last
        begin = bisect_right(self._firsts, first)
        if begin and self._lasts[begin - 1] >= first - 1:
            begin -= 1
            first = self._firsts[begin]
        end = bisect_right(self._firsts, last + 1)
        if end > begin:
            last = max(last, self._lasts[end - 1])
        self._firsts[begin:end], self._lasts[begin:end] = [first], [last]

    def discard(self, number: int) -> None:
        """Take *number* out, if it is there."""
        place = bisect_right(self._firsts, number) - 1
        if place < 0 or number > self._lasts[place]:
            return
        first, last = self._firsts[place], self._lasts[place]
        left = [pair for pair in ((first, number - 1), (number + 1, last)) if pair[0] <= pair[1]]
        self._firsts[place : place + 1] = [pair[0] for pair in left]
        self._lasts[place : place + 1] = [pair[1] for pair in left]

    def minus(self, other: "Ranges") -> "Ranges":
        """Return these numbers without those of *other*.

        >>> Ranges([(1, 9)]).minus(Ranges([(0, 2), (5, 5), (9, 12)]))
        Ranges([(3, 4), (6, 8)])
        """
        left, taken, place = Ranges(), list(other.pairs()), 0
        for begin, last in self.pairs():
            first = begin
            while place < len(taken) and taken[place][1] < first:
                place += 1
            for without in range(place, len(taken)):
                if taken[without][0] > last:
                    break
                if taken[without][0] > first:
                    left._append(first, taken[without][0] - 1)
                first = taken[without][1] + 1
            if first <= last:
                left._append(first, last)
        return left

    @property
    def bounds(self) -> tuple[int, int]:
        """The first and the last number. There has to be one."""
        return self._firsts[0], self._lasts[-1]

    def _append(self, first: int, last: int) -> None:
        self._firsts.append(first)
        self._lasts.append(last)

    def clear(self) -> None:
        self._firsts.clear()
        self._lasts.clear()
