"""The document on how much of a score needs the sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ssl_bench.files import write_text
from ssl_bench.schemas import Document
from ssl_bench.scoring.results import Coverage, MeasuredValue, ModelIdentity, ProtocolIdentity

Informed = Literal["nothing", "category", "unknown"]
"""What maps can know of the sound: nothing of it, its category, or that is not known here."""


class Discordant(Document):
    """McNemar's exact test: trials on which only one of two succeeds."""

    only_with: int
    only_without: int
    p_value: float


class PairedTest(Document):
    """Tests of the difference of a mean over trials.

    The permutation test flips whole groups; McNemar's is null unless the measure is a success rate.
    """

    measure: str
    permutation_p: float
    mcnemar: Discordant | None


class Without(Document):
    """The same trials without the sound, or with another.

    Attributes
    ----------
    name
        Such as ``silence``, ``audio-blind map`` or ``prior ogl-l1``.
    about
        Where its maps come from, as a phrase.
    informed
        What they can know of the trial's own sound.
    n_trials
        Trials that are compared: all, or those for which there is such a sound.
    measures, with_sound
        On these trials, without and with the sound.
    difference
        With minus without, paired, with intervals.
    tests
        Of those measures that are means over trials.
    breakdown
        The first measures' difference, by grouping column and level.
    predictions_sha256
        Digest of the maps' file; null for a trivial baseline.
    """

    name: str
    about: str
    informed: Informed
    n_trials: int
    measures: tuple[MeasuredValue, ...]
    with_sound: tuple[MeasuredValue, ...]
    difference: tuple[MeasuredValue, ...]
    tests: tuple[PairedTest, ...]
    breakdown: dict[str, dict[str, tuple[MeasuredValue, ...]]]
    predictions_sha256: str | None = None


class Headline(Document):
    """How many points of the score need the sound.

    Attributes
    ----------
    best_without, without
        Name and score of the best of all maps that know nothing of the sound; null without any.
    needs_sound
        Score minus `without`, paired. The best is picked after the fact, which makes this number
        cautious.
    sentence
        All of it in one sentence.
    """

    measure: str
    score: MeasuredValue
    best_without: str | None
    without: MeasuredValue | None
    needs_sound: MeasuredValue | None
    sentence: str


class LevelEffect(Document):
    """What the sound adds on some of the trials, against the best of all maps that lack it.

    Attributes
    ----------
    grouping, level
        Which trials, such as ``size`` and ``small``.
    without
        What the best of the others reaches there; null where it is undefined.
    difference
        With minus without, paired, with its interval.
    """

    grouping: str
    level: str
    with_sound: MeasuredValue
    without: float | None
    difference: MeasuredValue


class Contribution(Document):
    """What the sound contributes to one model's score under one protocol.

    Attributes
    ----------
    headline
        Of the first measure, or of the one that was asked for.
    measures
        With the sound, on all trials.
    by_level
        The headline's comparison within breakdowns of few levels; empty in documents of earlier
        versions.
    notes
        What was not compared, and why.
    seed
        Of partners, noise, resampling and permutations.
    """

    format: Literal["ssl-bench-contribution/1"] = "ssl-bench-contribution/1"
    model: ModelIdentity
    protocol: ProtocolIdentity
    coverage: Coverage
    headline: Headline
    measures: tuple[MeasuredValue, ...]
    without: tuple[Without, ...]
    by_level: tuple[LevelEffect, ...] = ()
    notes: tuple[str, ...]
    predictions_sha256: str | None
    seed: int
    environment: dict[str, Any]


def write_contribution(path: Path, contribution: Contribution) -> None:
    """Write it as JSON, whole or not at all."""
    write_text(path, contribution.model_dump_json(indent=1) + "\n")
