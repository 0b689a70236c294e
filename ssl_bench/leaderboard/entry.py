"""An entry: a result admitted to the leaderboard, with its card and all that a page shows of it.

An entry is one JSON document, ``entries/<protocol>/<slug>.json``. It holds everything that is
needed to show it, so that a page needs neither test set nor model. Its card and its environment
are as stated; all else can be computed again from the predictions that it names.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.stated import check_environment
from ssl_bench.leaderboard.text import Address, Digest, Line, Slug
from ssl_bench.predictions.format import is_valid_id
from ssl_bench.schemas import Strict
from ssl_bench.scoring.results import MeasuredValue, Result

ENTRY_FORMAT: Literal["ssl-bench-entry/1"] = "ssl-bench-entry/1"

LARGEST_SIDE = 56
"""Height and width of the largest map that an entry can show."""


def _identifier(text: str) -> str:
    if not is_valid_id(text):
        raise ValueError("it is empty, too long or not printable")
    return text


Identifier = Annotated[str, AfterValidator(_identifier)]
"""Id of a trial or a sample."""

Share = Annotated[float, Field(ge=0, le=1)]
_Base64 = Annotated[str, StringConstraints(max_length=200_000, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class StoredPredictions(Strict):
    """Predictions that are part of the board.

    Attributes
    ----------
    path
        Relative to the board's folder: ``predictions/<protocol>/<slug>.npz``.
    sha256, bytes
        Of the file.
    """

    kind: Literal["stored"] = "stored"
    path: Line
    sha256: Digest
    bytes: Annotated[int, Field(ge=1)]


class AddressedPredictions(Strict):
    """Predictions that are too large for the board, kept by the submitter.

    Attributes
    ----------
    address
        Where they are; nothing is ever fetched by this project.
    sha256, bytes
        Of the file.
    """

    kind: Literal["address"] = "address"
    address: Address
    sha256: Digest
    bytes: Annotated[int, Field(ge=1)]


class RemadePredictions(Strict):
    """Predictions of a trivial baseline, made again from the annotations whenever they are needed.

    Attributes
    ----------
    model, seed
        The baseline that ships, and its seed.
    sha256, bytes
        Of the file that it makes.
    """

    kind: Literal["remade"] = "remade"
    model: Slug
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    sha256: Digest
    bytes: Annotated[int, Field(ge=1)]


PredictionsReference = Annotated[
    StoredPredictions | AddressedPredictions | RemadePredictions, Field(discriminator="kind")
]


class CurvePoint(Strict):
    """Success at one cIoU threshold, with its 95 % interval."""

    at: Share
    value: float | None
    low: float | None
    high: float | None


class DialectScores(Strict):
    """The same maps under one public evaluator.

    Attributes
    ----------
    dialect, title
        Its name, and in words.
    digest
        Digest of the protocol under this dialect.
    measures
        Those that the dialect and the protocol have in common, in the protocol's order.
    """

    dialect: Line
    title: Line
    digest: Digest
    measures: Annotated[tuple[MeasuredValue, ...], Field(min_length=1)]


class ImagePart(Strict):
    """One sample's image and its place: top, left, bottom, right as fractions of the picture."""

    sample: Identifier
    placement: tuple[Share, Share, Share, Share]


class SoundReference(Strict):
    """What was played, see :class:`ssl_bench.trials.trial.AudioRecipe`."""

    samples: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    kind: Literal["sounds", "silence", "noise"]
    seed: int


class TruthMask(Strict):
    """The truth at low resolution, as :func:`ssl_bench.testsets.truth.decode_rle` reads it.

    Attributes
    ----------
    size
        Height and width.
    counts
        The code.
    """

    size: tuple[Annotated[int, Field(ge=1, le=224)], Annotated[int, Field(ge=1, le=224)]]
    counts: Annotated[str, StringConstraints(max_length=100_000, pattern=r"^[0-o]*$")]


class ShownMap(Strict):
    """A map as it is stored in the predictions.

    Attributes
    ----------
    height, width
        In pixels.
    data
        Base64 of its values, row by row, float16 with the low byte first.
    """

    height: Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
    width: Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
    data: _Base64

    @model_validator(mode="after")
    def _check(self) -> Self:
        values = _decoded(self.data, "<f2")
        if values.size != self.height * self.width or not np.isfinite(values).all():
            raise ValueError(f"the data are not {self.height} x {self.width} finite numbers")
        return self

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> ShownMap:
        """Encode a map ``(h, w)``."""
        height, width = values.shape
        return cls(height=height, width=width, data=_encoded(values, "<f2"))

    def array(self) -> NDArray[np.float32]:
        """The map ``(height, width)`` float32.

        Examples
        --------
        >>> ShownMap.of(np.array([[0.0, 0.5]])).array()
        array([[0. , 0.5]], dtype=float32)
        """
        values = _decoded(self.data, "<f2").reshape(self.height, self.width)
        return values.astype(np.float32)


class GalleryTrial(Strict):
    """One trial of an entry's gallery.

    Attributes
    ----------
    trial
        Its id.
    picked
        Why it is shown.
    score
        Its cIoU under the protocol; null where nothing in the picture sounds, or where the trial
        has no truth pixel.
    category, role, sounding
        As in :class:`ssl_bench.trials.trial.Trial`.
    image
        What was shown: samples of the test set and where each stands.
    sound
        What was played.
    truth
        Null where the test set's annotation may not be copied, and where nothing sounds.
    map
        Null where the predictions are not stored because they could give away the annotation, and
        where the trial was not answered.
    """

    trial: Identifier
    picked: Literal["best", "worst", "random"]
    score: Share | None
    category: Line
    role: Line
    sounding: bool
    image: Annotated[tuple[ImagePart, ...], Field(min_length=1)]
    sound: SoundReference
    truth: TruthMask | None
    map: ShownMap | None


class Replicates(Strict):
    """Values of a measure on bootstrap resamples that all entries of a protocol share.

    Their differences between two entries are the paired cluster bootstrap, see
    :mod:`ssl_bench.statistics.ties`.

    Attributes
    ----------
    measure
        Its text form.
    data
        Base64 of the values, float32 with the low byte first; empty where there are none.
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
        """The values ``(B,)`` float64.

        Examples
        --------
        >>> Replicates.of("AUC", [0.25, 0.5]).array()
        array([0.25, 0.5 ])
        """
        return _decoded(self.data, "<f4").astype(np.float64)


class Evidence(Strict):
    """What a page shows beside the result's own numbers.

    Breakdowns by size, number of boxes, category and type are in the result.

    Attributes
    ----------
    success_curve
        Share of sounding trials whose cIoU reaches each threshold; empty for a ranking.
    dialects
        The same maps under every dialect that reports the protocol's first measure; the protocol's
        own numbers are in the result.
    gallery_seed
        Seed that drew the random trials of the gallery.
    gallery
        Best, worst and random trials; empty for a ranking.
    replicates
        For paired tests between entries: one for each of the protocol's first measures.
    """

    success_curve: tuple[CurvePoint, ...]
    dialects: tuple[DialectScores, ...]
    gallery_seed: Annotated[int, Field(ge=0)]
    gallery: Annotated[tuple[GalleryTrial, ...], Field(max_length=200)]
    replicates: tuple[Replicates, ...]


class Entry(Strict):
    """One row of the leaderboard.

    Attributes
    ----------
    format
        Name and version of this schema.
    slug
        Name of the entry within its protocol, and of its files; the card's.
    protocol
        Label of the protocol, such as ``synth@synth:standard``.
    protocol_digest
        Digest of the protocol; entries with different ones are never ranked together.
    result
        The result of the predictions below (not of what was submitted, where that was larger),
        under the canonical dialect, complete. Timings are left out: they cannot be checked.
    predictions
        What it was scored from.
    vision_only
        The model's own audio-blind maps, where ``result.vision_only`` has their scores.
    card
        What the submitter says.
    evidence
        What a page shows beside the result.
    """

    format: Literal["ssl-bench-entry/1"] = ENTRY_FORMAT
    slug: Slug
    protocol: Line
    protocol_digest: Digest
    result: Result
    predictions: PredictionsReference
    vision_only: StoredPredictions | None = None
    card: SubmissionCard
    evidence: Evidence

    @model_validator(mode="after")
    def _check(self) -> Self:
        told = self.result.protocol
        for what, own, other in (
            ("slug", self.slug, self.card.slug),
            ("protocol", self.protocol, told.label),
            ("protocol_digest", self.protocol_digest, told.digest),
            ("predictions.sha256", self.predictions.sha256, self.result.predictions_sha256),
        ):
            if own != other:
                raise ValueError(f"{what} is {own!r:.80} here and {other!r:.80} further down")
        blind = self.result.vision_only
        if (blind is None) != (self.vision_only is None) or (
            blind is not None
            and self.vision_only is not None
            and blind.predictions_sha256 != self.vision_only.sha256
        ):
            raise ValueError("vision_only is not what the result's audio-blind scores are of")
        if told.dialect != "canonical":
            raise ValueError(f"the result is of the dialect {told.dialect!r:.80}")
        if self.result.coverage.partial:
            raise ValueError("the result is partial")
        if not self.result.measures:
            raise ValueError("the result has no measure")
        if self.result.timings:
            raise ValueError("the result has timings, which nobody can check")
        check_environment(self.result.environment)
        return self

    @property
    def is_kept_elsewhere(self) -> bool:
        """Whether its predictions are not on the board, so that nobody need be able to score it."""
        return self.predictions.kind == "address"

    @property
    def can_be_ranked(self) -> bool:
        """Whether it competes: an oracle sees the truth, and what is kept elsewhere is unproven."""
        return self.card.modality != "oracle" and not self.is_kept_elsewhere

    @property
    def headline(self) -> MeasuredValue:
        """The protocol's first measure, which ranks entries."""
        return self.result.measures[0]


def _encoded(values: NDArray[np.generic], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode("ascii")


def _decoded(data: str, dtype: str) -> NDArray[np.floating]:
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError("the data are not base64") from error
    width = np.dtype(dtype).itemsize
    if len(raw) % width:
        raise ValueError(f"the data are not whole numbers of {width} bytes")
    values: NDArray[np.floating] = np.frombuffer(raw, dtype)
    return values
