"""Where a stored entry differs from the same entry made again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ssl_bench.leaderboard.entry import Entry
from ssl_bench.schemas import quoted

TOLERANCE = 1e-6
"""Numbers that differ by no more are equal: processors round differently."""

# What depends on the machine and not on the predictions.
_NOT_COMPARED = {("result", "environment"), ("result", "timings"), ("predictions",)}
_ARRAYS = "replicates"


def differences(stored: Entry, again: Entry) -> list[tuple[str, str, str]]:
    """Every field that differs: its place, what is stored, and what comes out.

    Library versions are not compared, nor is where the predictions are; the digest of stored ones
    is, by the result.
    """
    one, other = stored.model_dump(mode="json"), again.model_dump(mode="json")
    # Another compressor makes another file of the same maps, where they are made again.
    if stored.predictions.kind == "remade":
        for document in (one, other):
            document["result"]["predictions_sha256"] = None
    for document, entry in ((one, stored), (other, again)):
        document["evidence"][_ARRAYS] = {
            each.measure: each.array().tolist() for each in entry.evidence.replicates
        }
    return list(_compared(one, other, ()))


def _compared(
    stored: Any, again: Any, place: tuple[str | int, ...]
) -> Iterator[tuple[str, str, str]]:
    if place in _NOT_COMPARED:
        return
    if place[:2] == ("evidence", _ARRAYS) and len(place) == 3:
        if not _alike(stored, again):
            yield _named(place), _brief(stored), _brief(again)
    elif isinstance(stored, dict) and isinstance(again, dict):
        for key in sorted(stored.keys() | again.keys()):
            if key not in stored or key not in again:
                one, other = (
                    _brief(each[key]) if key in each else "nothing" for each in (stored, again)
                )
                yield _named((*place, key)), one, other
            else:
                yield from _compared(stored[key], again[key], (*place, key))
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        for number, pair in enumerate(zip(stored, again, strict=True)):
            yield from _compared(*pair, (*place, number))
    elif not _equal(stored, again):
        yield _named(place), _brief(stored), _brief(again)


def _equal(stored: Any, again: Any) -> bool:
    numbers = isinstance(stored, float | int) and isinstance(again, float | int)
    if numbers and not isinstance(stored, bool) and not isinstance(again, bool):
        whole = isinstance(stored, int) and isinstance(again, int)
        return (
            stored == again
            if whole
            else math.isclose(stored, again, rel_tol=0, abs_tol=_room(again))
        )
    return bool(stored == again) and type(stored) is type(again)


def _room(value: float) -> float:
    """Ranks and pixels are larger than shares, and are compared in proportion."""
    return TOLERANCE * max(1.0, abs(value))


def _alike(stored: list[float], again: list[float]) -> bool:
    if len(stored) != len(again):
        return False
    scale = TOLERANCE * max(1.0, float(np.abs(again).max(initial=0.0)))
    return bool(np.allclose(stored, again, rtol=0, atol=scale))


def _named(place: tuple[str | int, ...]) -> str:
    return ".".join(
        part if str(part).isprintable() else quoted(str(part)) for part in map(str, place)
    )


def _brief(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, list | dict):
        return f"{len(value)} values"
    return quoted(value) if isinstance(value, str) else str(value)[:40]
