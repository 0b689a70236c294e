"""The document on how much of a score needs the sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ssl_bench.displays import Shown
from ssl_bench.files import write_text
from ssl_bench.schemas import Document
from ssl_bench.scoring.results import (
    Coverage,
    Hearing,
    MeasuredValue,
    ModelIdentity,
    ProtocolIdentity,
)

if TYPE_CHECKING:
    import pandas as pd

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
    """The same trials without the sound, or with another."""

    name: str  # Such as ``silence``, ``audio-blind map`` or ``prior ogl-l1``
    about: str  # Where its maps come from, as a phrase
    informed: Informed  # What they can know of the trial's own sound
    n_trials: int  # Trials that are compared: all, or those for which there is such a sound
    # measures, with_sound: On these trials, without and with the sound.
    measures: tuple[MeasuredValue, ...]
    with_sound: tuple[MeasuredValue, ...]
    difference: tuple[MeasuredValue, ...]  # With minus without, paired, with intervals
    tests: tuple[PairedTest, ...]  # Of those measures that are means over trials
    # The first measures' difference, by grouping column and level.
    breakdown: dict[str, dict[str, tuple[MeasuredValue, ...]]]
    predictions_sha256: str | None = None  # Digest of the maps' file; null for a trivial baseline


class LevelEffect(Document):
    """What hearing adds on some of the trials, against the best of all maps that lack it."""

    # grouping, level: Which trials, such as ``size`` and ``small``.
    grouping: str
    level: str
    with_sound: MeasuredValue
    without: float | None  # What the best of the others reaches there; null where it is undefined
    difference: MeasuredValue  # With minus without, paired, with its interval


class Contribution(Shown, Document):
    """What the sound contributes to one model's score under one protocol."""

    format: Literal["ssl-bench-contribution/2"] = "ssl-bench-contribution/2"
    model: ModelIdentity
    protocol: ProtocolIdentity
    coverage: Coverage
    # Of the first measure, or of the one that was asked for; other sounds count as maps without it.
    hearing: Hearing
    measures: tuple[MeasuredValue, ...]  # With the sound, on all trials
    without: tuple[Without, ...]
    by_level: tuple[LevelEffect, ...]  # The same within breakdowns of few levels
    notes: tuple[str, ...]  # What was not compared, and why
    predictions_sha256: str | None
    seed: int  # Of partners, noise, resampling and permutations
    environment: dict[str, Any]

    @property
    def question(self) -> str:
        """Model and protocol, and the dialect where there is one."""
        asked = self.protocol
        under = "" if asked.dialect == "canonical" else f", dialect {asked.conventions}"
        return f"{self.model.name}, {asked.label}{under}"

    @property
    def headline(self) -> str:
        """Model, protocol, and what hearing adds to which measure, in one line."""
        adds = self.hearing.adds and self.hearing.adds.value
        told = "unknown" if adds is None else f"{adds:+.4g}"
        return (
            f"{self.model.name} on {self.protocol.label}: hearing adds {told} to "
            f"{self.hearing.measure}"
        )

    def to_frame(self) -> pd.DataFrame:
        """One row for each measure without the sound, or with another: both scores, the difference.

        ``low`` and ``high`` bound the 95 % interval of the difference, with minus without.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "heard": each.name,
                "measure": own.measure,
                "with_sound": own.value,
                "without": other.value,
                "difference": change.value,
                "low": change.low,
                "high": change.high,
                "trials": each.n_trials,
            }
            for each in self.without
            for own, other, change in zip(
                each.with_sound, each.measures, each.difference, strict=True
            )
        )


def write_contribution(path: Path, contribution: Contribution) -> None:
    """Write it as JSON, whole or not at all."""
    write_text(path, contribution.model_dump_json(indent=1) + "\n")
