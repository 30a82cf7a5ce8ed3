"""People of an edition who are still to be reached, as the database gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Self, overload


class Person(NamedTuple):
    """One recipient still to be reached."""

    ordinal: int
    """Their place in the edition."""
    delivery_id: str
    subscriber_id: int
    address: str
    name: str


class People(Sequence[Person]):
    """Some people of an edition, by ordinal.

    A batch needs a column at a time: to make a `Person` of each row costs half as much as reading it does.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: Iterable[Sequence[Any]] = ()) -> None:
        self._rows = list(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Person: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> Person | Self:
        if isinstance(place, slice):
            return type(self)(self._rows[place])
        return Person._make(self._rows[place])

    def __iter__(self) -> Iterator[Person]:
        return map(Person._make, self._rows)

    def __add__(self, others: Self) -> Self:
        return type(self)([*self._rows, *others._rows])

    @property
    def ordinals(self) -> list[int]:
        return [row[0] for row in self._rows]

    @property
    def delivery_ids(self) -> list[str]:
        return [row[1] for row in self._rows]

    @property
    def subscriber_ids(self) -> list[int]:
        return [row[2] for row in self._rows]

    @property
    def addresses(self) -> list[str]:
        return [row[3] for row in self._rows]

    @property
    def names(self) -> list[str]:
        return [row[4] for row in self._rows]

    def without(self, ordinals: Iterable[int]) -> Self:
        gone = frozenset(ordinals)
        return type(self)(row for row in self._rows if row[0] not in gone)

    def up_to(self, ordinal: int) -> Self:
        return type(self)(row for row in self._rows if row[0] <= ordinal)
