"""How the processes that train one trial together divide what is counted; pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rank:
    """One of `count` processes, by its number from 0; alone it has everything."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        """Refuse a number that is none of them."""
        if not 0 <= self.index < self.count:
            raise ValueError(f"rank {self.index} of {self.count}; ranks count from 0")

    @property
    def is_first(self) -> bool:
        """Whether it speaks for all."""
        return self.index == 0

    @property
    def own(self) -> tuple[int, ...]:
        """What tells its draws from those of the first, which are those of a process alone."""
        return () if self.is_first else (self.index,)

    def part(self, length: int) -> slice:
        """Its places among `length`: all ranks' parts in order are the whole, each place once.

        Parts differ by one at most; the first ranks have the longer ones.
        """
        least, longer = divmod(length, self.count)
        start = self.index * least + min(self.index, longer)
        return slice(start, start + least + (self.index < longer))
