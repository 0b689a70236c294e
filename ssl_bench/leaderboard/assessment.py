"""What scoring a submission gives: its result, and the evidence that its page shows beside it.

An :class:`Assessment` is computed from a submission's maps and never committed, with one exception:
where a test set's annotation does not ship, the accepted one is kept in ``lock.json``.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, model_validator

from ssl_bench.errors import LeaderboardError
from ssl_bench.leaderboard.card import Digest, Line, Url, bounded_bytes
from ssl_bench.predictions.format import is_valid_id
from ssl_bench.schemas import Strict, in_words, parse_json
from ssl_bench.scoring.results import MeasuredValue, Result

MAX_LOCK_BYTES = 2 * 2**20
RANKED = 3
"""Entries can be compared by paired tests on this many of a protocol's first measures."""
MAX_SIDE = 56
"""Height and width of the largest map that a page shows."""
TOLERANCE = 1e-6
"""Numbers that differ by no more, in proportion where they exceed 1, are equal: processors round
differently."""
_MAX_TEXT = 6000


def _identifier(text: str) -> str:
    if not is_valid_id(text):
        raise ValueError("empty, too long or not printable")
    return text


_Identifier = Annotated[str, AfterValidator(_identifier)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Base64 = Annotated[str, StringConstraints(max_length=200_000, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class CurvePoint(Strict):
    """Success at one cIoU threshold, with its 95 % interval."""

    at: _Share
    value: float | None
    low: float | None
    high: float | None


class DialectScores(Strict):
    """The same maps under one public evaluator, by the measures that it and the protocol share.

    `digest` is that of the protocol under this dialect.
    """

    dialect: Line
    title: Line
    digest: Digest
    measures: Annotated[tuple[MeasuredValue, ...], Field(min_length=1)]


class ImagePart(Strict):
    """One sample's image and its place: top, left, bottom, right as fractions of the picture."""

    sample: _Identifier
    placement: tuple[_Share, _Share, _Share, _Share]


class SoundReference(Strict):
    """What was played, see :class:`ssl_bench.trials.recipes.AudioRecipe`."""

    samples: Annotated[tuple[_Identifier, ...], Field(min_length=1)]
    kind: Literal["sounds", "silence", "noise"]
    seed: int


class TruthMask(Strict):
    """The truth at low resolution, as :func:`ssl_bench.testsets.truth.decode_rle` reads it."""

    size: tuple[Annotated[int, Field(ge=1, le=224)], Annotated[int, Field(ge=1, le=224)]]
    counts: Annotated[str, StringConstraints(max_length=100_000, pattern=r"^[0-o]*$")]


class ShownMap(Strict):
    """A map as it is stored in the predictions: base64 of float32 values, low byte first."""

    height: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    width: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    data: _Base64

    @model_validator(mode="after")
    def _check(self) -> Self:
        values = _decoded(self.data, "<f4")
        if values.size != self.height * self.width or not np.isfinite(values).all():
            raise ValueError(f"the data are not {self.height} x {self.width} finite numbers")
        return self

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> ShownMap:
        """Encode a map ``(h, w)``."""
        height, width = values.shape
        return cls(height=height, width=width, data=_encoded(values, "<f4"))

    def array(self) -> NDArray[np.float32]:
        """The map ``(height, width)`` float32.

        Examples
        --------
        >>> ShownMap.of(np.array([[0.0, 0.5]])).array()
        array([[0. , 0.5]], dtype=float32)
        """
        return _decoded(self.data, "<f4").reshape(self.height, self.width)


class WithoutSoundMap(Strict):
    """A map of the same trial that was made without the sound, its cIoU and predicted pixels."""

    score: _Share | None
    map: ShownMap
    predicted: TruthMask | None


class GalleryTrial(Strict):
    """One trial of an entry's gallery.

    Attributes
    ----------
    picked
        Why it is there; ``gained``: its score exceeds that without sound most.
    score
        cIoU; null where the trial has none.
    truth
        Null where the test set's annotation may not be copied, and where nothing sounds.
    map, predicted
        The map, and the pixels that its threshold keeps. Null where they could give away the
        annotation, and where the trial was not answered.
    without_sound
        Null where there is no such map, or it may not be shown.
    """

    trial: _Identifier
    picked: Literal["best", "worst", "gained", "random"]
    score: _Share | None
    category: Line
    role: Line
    sounding: bool
    image: Annotated[tuple[ImagePart, ...], Field(min_length=1)]
    sound: SoundReference
    truth: TruthMask | None
    map: ShownMap | None
    predicted: TruthMask | None = None
    without_sound: WithoutSoundMap | None = None


class ReferenceCurve(Strict):
    """Success at the thresholds of an entry's own curve, of what it stands beside."""

    kind: Literal["floor", "blind", "ceiling"]
    name: Line
    values: tuple[_Share | None, ...]


class TrialScores(Strict):
    """cIoU of every trial that has one, with the entry's maps and with the best without sound.

    `without_sound` is empty where nothing is known but the entry's own maps, or these are made
    without sound themselves.
    """

    trials: tuple[_Identifier, ...]
    categories: tuple[Line, ...]
    scores: tuple[_Share, ...]
    without_sound: tuple[_Share, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        lengths = {len(each) for each in (self.trials, self.categories, self.scores)}
        if lengths | ({len(self.without_sound)} - {0}) != {len(self.trials)}:
            raise ValueError("there is not one of each for every trial")
        return self


class Replicates(Strict):
    """Values of a measure on bootstrap resamples that all entries of a protocol share.

    Their differences between two entries are the paired cluster bootstrap, see
    :mod:`ssl_bench.statistics.ties`. `data` is base64 of float32 values, low byte first.
    """

    measure: Line
    data: _Base64

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not np.isfinite(_decoded(self.data, "<f4")).all():
            raise ValueError("the data are not finite numbers")
        return self

    @classmethod
    def of(cls, measure: str, values: ArrayLike) -> Replicates:
        """Encode values ``(B,)``."""
        return cls(measure=measure, data=_encoded(np.asarray(values), "<f4"))

    def array(self) -> NDArray[np.float64]:
        """The values ``(B,)`` float64; empty where there are none.

        Examples
        --------
        >>> Replicates.of("AUC", [0.25, 0.5]).array()
        array([0.25, 0.5 ])
        """
        return _decoded(self.data, "<f4").astype(np.float64)


class Evidence(Strict):
    """What a page shows beside the result's own numbers; for a ranking, replicates alone.

    Attributes
    ----------
    success_curve, reference_curves
        Share of sounding trials whose cIoU reaches each threshold; the same of the best trivial
        map, of the best without sound, and of perfect maps.
    hearing_by
        What hearing adds to the first measure within each level of each grouping.
    dialects
        The same maps under every dialect that reports the protocol's first measure.
    gallery
        Best, worst and random trials, and those that gain most by the sound; `gallery_seed` drew
        the random ones.
    without_sound
        Whose maps made without sound the gallery shows; null for none.
    trials
        Null where ids and categories are somebody else's annotation.
    replicates
        For paired tests between entries: one for each of the protocol's first measures.
    change_with_sound
        How much maps of one picture differ under several sounds, as a share of their range; null
        where no picture comes with several, and in a lock of an earlier version.
    """

    success_curve: tuple[CurvePoint, ...]
    reference_curves: tuple[ReferenceCurve, ...] = ()
    hearing_by: dict[Line, dict[Line, MeasuredValue]] = Field(default_factory=dict)
    dialects: tuple[DialectScores, ...]
    gallery_seed: Annotated[int, Field(ge=0)]
    gallery: Annotated[tuple[GalleryTrial, ...], Field(max_length=200)]
    without_sound: Line | None = None
    trials: TrialScores | None = None
    replicates: tuple[Replicates, ...]
    change_with_sound: Annotated[float, Field(ge=0)] | None = None


class Assessment(Strict):
    """A complete result under the canonical dialect, with its evidence.

    The result's breakdowns hold the protocol's first measure only, and no timings.
    """

    result: Result
    evidence: Evidence

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.result.protocol.dialect != "canonical" or self.result.coverage.partial:
            raise ValueError("the result is partial or of another dialect")
        if not self.result.measures:
            raise ValueError("the result has no measure")
        return self


class Lock(Assessment):
    """Content of ``lock.json``: what was accepted where it cannot be computed again here.

    Attributes
    ----------
    bytes
        Size of the predictions file; the result has its digest.
    url
        Where its submitter keeps a file that is too large for the board; nothing is ever fetched.
    """

    format: Literal["ssl-bench-lock/1"] = "ssl-bench-lock/1"
    bytes: Annotated[int, Field(ge=1)]
    url: Url | None = None


def read_lock(path: Path) -> Lock:
    """Read a lock.

    Raises
    ------
    LeaderboardError
        If it is missing, a link, too large, or does not follow the schema.
    """
    raw = bounded_bytes(path, MAX_LOCK_BYTES)
    try:
        lock = parse_json(raw, TypeAdapter(Lock))
        check_printable(lock.result.model_dump(mode="json"))
    except (ValueError, RecursionError) as error:
        raise LeaderboardError(
            in_words(error), code="E_LOCK", where=path, remedy="write it with 'ssl-bench submit'"
        ) from error
    return lock


def check_printable(content: Any) -> None:
    r"""Check that a JSON-able document holds short printable texts and finite numbers only.

    Raises
    ------
    ValueError
        Naming the place.

    Examples
    --------
    >>> check_printable({"a": [1.0, "\x1b[2J"]})
    Traceback (most recent call last):
    ...
    ValueError: a.1: too long or not printable
    """
    for place, value in _leaves(content, ""):
        plain = place + value.replace("\n", "") if isinstance(value, str) else place
        too_large = isinstance(value, int | float) and not abs(value) < 2**63
        if len(plain) > _MAX_TEXT or not plain.isprintable() or too_large:
            name = place[1:200] if place.isprintable() else "a name"
            raise ValueError(f"{name}: too long or not printable")


def disagreements(stored: Assessment, again: Assessment) -> list[str]:
    """Where a lock is not what its maps give; library versions and file digests do not count."""
    return differences(*(_comparable(each) for each in (stored, again)))


def _comparable(assessment: Assessment) -> dict[str, Any]:
    content = Assessment(result=assessment.result, evidence=assessment.evidence).model_dump(
        mode="json"
    )
    for name in ("environment", "timings", "predictions_sha256"):
        del content["result"][name]
    content["result"]["protocol"].pop("tables")
    del content["evidence"]["change_with_sound"]
    content["evidence"]["replicates"] = {
        each.measure: each.array().tolist() for each in assessment.evidence.replicates
    }
    return content


def differences(stored: Any, again: Any) -> list[str]:
    """Places at which two JSON-able documents differ beyond rounding, with both values.

    Examples
    --------
    >>> differences({"a": [1.0, 2.0]}, {"a": [1.0 + 1e-9, 3.0]})
    ['a.1: 2.0 is stored, 3.0 comes out']
    """
    one, other = dict(_leaves(stored, "")), dict(_leaves(again, ""))
    found = []
    for place in {**one, **other}:
        here, there = one.get(place, "nothing"), other.get(place, "nothing")
        if not _is_equal(here, there):
            found.append(f"{place[1:]}: {_brief(here)} is stored, {_brief(there)} comes out")
    return found


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=0, abs_tol=TOLERANCE * max(1.0, abs(other)))
    return bool(one == other)


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _leaves(content: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every value of a JSON-able document that is no container, with the dotted path to it."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _leaves(value, f"{place}.{key}")
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from _leaves(value, f"{place}.{number}")
    else:
        yield place, content


def _encoded(values: NDArray[np.generic], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode("ascii")


def _decoded(data: str, dtype: str) -> NDArray[np.floating]:
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError("the data are not base64") from error
    if len(raw) % np.dtype(dtype).itemsize:
        raise ValueError("the data are not whole numbers")
    values: NDArray[np.floating] = np.frombuffer(raw, dtype)
    return values
