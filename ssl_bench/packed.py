"""Many records in little memory: made again, some at a time, when they are asked for.

A trial as Python objects takes a kilobyte or two, which is nothing for five thousand of them and
more than all else that a run holds for two hundred thousand. Packed, it takes about twenty bytes.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from operator import eq
from typing import Any, Generic, TypeVar, overload

import numpy as np

MANY = 8192
"""So many records stay as they are, since they take little and are asked for faster."""

_BLOCK = 128
# Blocks that stay unpacked: what reads in order comes back to the same one.
_AT_HAND = 16

Record = TypeVar("Record")


def packed(records: Iterable[Record]) -> Sequence[Record]:
    """The records, which can be pickled, in order; those of a tuple or of packed ones as they are.

    Examples
    --------
    >>> packed(iter("abc"))
    ('a', 'b', 'c')
    >>> numbers = packed(range(100_000))
    >>> len(numbers), numbers[-1], numbers[5:7], numbers == range(100_000)
    (100000, 99999, (5, 6), True)
    """
    if isinstance(records, _Packed):
        return records
    given = iter(records)
    first = tuple(islice(given, MANY + 1))
    return first if len(first) <= MANY else _Packed(chain(first, given))


class _Packed(Sequence[Record], Generic[Record]):
    def __init__(self, records: Iterable[Record]) -> None:
        given = iter(records)
        blocks = iter(lambda: tuple(islice(given, _BLOCK)), ())
        self._blocks, self._count = [], 0
        for block in blocks:
            self._blocks.append(zlib.compress(pickle.dumps(block, pickle.HIGHEST_PROTOCOL)))
            self._count += len(block)
        self._keep_some()

    def _keep_some(self) -> None:
        self._block = lru_cache(_AT_HAND)(self._unpacked)

    def _unpacked(self, number: int) -> tuple[Record, ...]:
        # Nothing but what this object packed.
        found: tuple[Record, ...] = pickle.loads(zlib.decompress(self._blocks[number]))  # noqa: S301
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"_blocks": self._blocks, "_count": self._count}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._keep_some()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(map(self._unpacked, range(len(self._blocks))))

    @overload
    def __getitem__(self, row: int) -> Record: ...

    @overload
    def __getitem__(self, row: slice) -> tuple[Record, ...]: ...

    def __getitem__(self, row: int | slice) -> Record | tuple[Record, ...]:
        if isinstance(row, slice):
            return tuple(self[each] for each in range(self._count)[row])
        block, place = divmod(range(self._count)[row], _BLOCK)
        return self._block(block)[place]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]


def rows_by_name(names: Iterable[str]) -> Mapping[str, int]:
    """The row of each of the names, in order; the last of several that are equal.

    Examples
    --------
    >>> rows_by_name(["owl", "cow"])["cow"]
    1
    """
    kept = packed(names)
    if isinstance(kept, _Packed):
        return _Rows(kept)
    return {name: row for row, name in enumerate(kept)}


def _hash(name: str) -> int:
    """31 bits, since more would take twice the memory; the few that are alike are told apart."""
    return hash(name) & 0x7FFFFFFF


class _Rows(Mapping[str, int]):
    """Rows of many names, found by their hashes."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._find()

    def _find(self) -> None:
        hashes = np.fromiter(map(_hash, self._names), np.int32, len(self._names))
        # Of equal ones, the last comes first.
        self._order = np.lexsort((-np.arange(len(hashes)), hashes)).astype(np.int32)
        self._hashes = hashes[self._order]
        alike = np.flatnonzero(self._hashes[1:] == self._hashes[:-1]) + 1
        rows = self._order[alike].tolist()
        self._repeated = {row for row in rows if self[self._names[row]] != row}

    def __getstate__(self) -> dict[str, Any]:
        # Another process has other hashes.
        return {"_names": self._names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._find()

    def __getitem__(self, name: str) -> int:
        wanted = np.int32(_hash(name))
        place = int(np.searchsorted(self._hashes, wanted))
        while place < len(self._hashes) and self._hashes[place] == wanted:
            row = int(self._order[place])
            if self._names[row] == name:
                return row
            place += 1
        raise KeyError(name)

    def __len__(self) -> int:
        return len(self._names) - len(self._repeated)

    def __iter__(self) -> Iterator[str]:
        return (name for row, name in enumerate(self._names) if row not in self._repeated)
