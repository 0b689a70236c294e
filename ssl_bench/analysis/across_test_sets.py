"""One model on several test sets, each against its own floor and ceiling: no new scoring.

A success rate on one test set does not compare with that on another: VGG-SS unheard has larger
objects than heard, Flickr-SoundNet is mostly one central object. What compares is how far a model
gets from the best audio-blind trivial map (the floor) to the best that the threshold rule allows
(the ceiling), on the same trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from ssl_bench.analysis.paired_runs import common_measures
from ssl_bench.errors import ResultError
from ssl_bench.measures.values import parse_measure
from ssl_bench.schemas import Document
from ssl_bench.scoring.formatting import position
from ssl_bench.scoring.results import MeasuredValue, Result

_WHOLE = "all"
# What makes two results those of one model: name, settings and weights.
_IDENTITY = ("name", "variant", "preset", "weights_sha256", "alpha", "seed", "options", "parts")


class Number(Document):
    """A number with its 95 % interval; null bounds where there is none."""

    value: float
    low: float | None
    high: float | None


class OnOneSet(Document):
    """A model on one test set."""

    protocol: str
    test_set: str
    n_trials: int  # Trials that the measure counts
    partial: bool  # Whether only some trials were scored
    score: Number
    floor_name: str
    # floor, ceiling: The best trivial map and the best possible one on the same trials.
    floor: float
    ceiling: float | None
    # (score - floor) / (ceiling - floor): 0 at the floor, 1 at the ceiling. Its interval takes
    # floor and ceiling for fixed. Null where no ceiling is known that is better than the floor.
    share: Number | None


class Change(Document):
    """From one test set to the next."""

    before: str
    after: str
    # score, share: Difference, after minus before. The interval combines the two (Newcombe 1998,
    # method 10, "square and add"), which takes the test sets for independent; it is left out where
    # one of them contains the other.
    score: Number
    share: Number | None


class AcrossSets(Document):
    """One model on several test sets."""

    format: Literal["ssl-bench-compare-sets/1"] = "ssl-bench-compare-sets/1"
    model: str
    dialect: str
    measure: str
    sets: tuple[OnOneSet, ...]
    changes: tuple[Change, ...]


def compare_sets(results: Sequence[tuple[Path, Result]], measure: str | None = None) -> AcrossSets:
    """Set results of one model on several test sets side by side.

    There are at least two `results`, each with the file that it comes from. The `measure` in its
    text form is by default the first that all of them have. ResultError if the results are of
    different models or dialects, repeat a protocol, or lack the measure, a floor or a ceiling.
    """
    if len(results) < 2:
        raise ResultError(
            "one result alone cannot be compared",
            code="E_COMPARE_ONE",
            remedy="give results on two or more test sets",
        )
    models, dialects = [], []
    for path, result in results:
        models.append((path, result.model.model_dump(mode="json", include=set(_IDENTITY))))
        dialects.append((path, {"": result.protocol.conventions}))
    _require_equal("dialect", dialects)
    _require_equal("model", models)
    seen: dict[tuple[str, str], Path] = {}
    for path, result in results:
        key = (result.protocol.digest, result.test_set.digest)
        if key in seen:
            raise ResultError(
                f"this is the same protocol on the same test set as in {seen[key]}",
                code="E_PROTOCOL_REPEATED",
                where=path,
            )
        seen[key] = path
    chosen = measure or common_measures([result for _, result in results])[0]
    rows = tuple(_on_one_set(path, result, chosen) for path, result in results)
    independent = [_independent(one, other) for (_, one), (_, other) in pairwise(results)]
    first = results[0][1]
    return AcrossSets(
        model=first.model.name,
        dialect=first.protocol.conventions,
        measure=chosen,
        sets=rows,
        changes=tuple(
            Change(
                before=before.protocol,
                after=after.protocol,
                score=difference(after.score, before.score, with_interval=apart),
                share=None
                if before.share is None or after.share is None
                else difference(after.share, before.share, with_interval=apart),
            )
            for (before, after), apart in zip(pairwise(rows), independent, strict=True)
        ),
    )


def difference(after: Number, before: Number, *, with_interval: bool = True) -> Number:
    """Difference of two independent numbers by Newcombe's "square and add".

    Each side of the interval adds the distances from the values to the bounds that pull the same
    way, as lengths at a right angle.

    Examples
    --------
    >>> found = difference(Number(value=0.5, low=0.46, high=0.54),
    ...     Number(value=0.4, low=0.37, high=0.43))
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.1, 0.05, 0.15)
    """
    value = after.value - before.value
    unknown = Number(value=value, low=None, high=None)
    if not with_interval or after.low is None or after.high is None:
        return unknown
    if before.low is None or before.high is None:
        return unknown
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Number(value=value, low=value - down, high=value + up)


def _require_equal(what: str, found: Sequence[tuple[Path, dict[str, Any]]]) -> None:
    path, expected = found[0]
    for other, facts in found[1:]:
        differing = "; ".join(
            f"{key} {value!r:.80}, not {expected[key]!r:.80}".strip()
            for key, value in facts.items()
            if value != expected[key]
        )
        if differing:
            raise ResultError(
                f"it differs from {path} in its {what}: {differing}",
                code="E_COMPARE_DIFFERENT",
                where=other,
                remedy=f"results of different {what}s are not compared here",
            )


def _on_one_set(path: Path, result: Result, measure: str) -> OnOneSet:
    found = position(result, measure)
    if found.floor is None or found.floor_name is None:
        raise ResultError(
            f"no floor of {measure} is known in this result",
            code="E_FLOOR_UNKNOWN",
            where=path,
            remedy="score it under a protocol whose controls name trivial maps",
        )
    score, floor = _number(path, found.value), _number(path, found.floor).value
    ceiling = None if found.ceiling is None else found.ceiling.value
    # A ceiling that is no better than the floor leaves no distance to have a share of.
    apart = ceiling != floor and parse_measure(measure).best([floor, ceiling]) == 1
    value = found.share if apart else None
    share = None
    if value is not None:
        bounds = [found.share_at(bound) for bound in (score.low, score.high)]
        known = sorted(bound for bound in bounds if bound is not None)
        low, high = known if len(known) == 2 else (None, None)
        share = Number(value=value, low=low, high=high)
    return OnOneSet(
        protocol=result.protocol.label,
        test_set=f"{result.test_set.name}:{result.test_set.split}",
        n_trials=result[measure].n_trials,
        partial=result.coverage.partial,
        score=score,
        floor_name=found.floor_name,
        floor=floor,
        ceiling=ceiling,
        share=share,
    )


def _number(path: Path, value: MeasuredValue) -> Number:
    if value.value is None:
        raise ResultError(
            f"{value.measure} is undefined in this result", code="E_MEASURE_UNDEFINED", where=path
        )
    return Number(value=value.value, low=value.low, high=value.high)


def _independent(one: Result, other: Result) -> bool:
    """Whether two results share no trial: parts of one test set are disjoint, the whole is not."""
    if one.test_set.name != other.test_set.name:
        return True
    splits = {one.test_set.split, other.test_set.split}
    return len(splits) == 2 and _WHOLE not in splits
