"""The result document: measures with intervals, and their provenance."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, FiniteFloat, model_validator

from ssl_bench.arguments import checked_arguments
from ssl_bench.displays import Shown
from ssl_bench.errors import ResultError, one_of
from ssl_bench.files import write_text
from ssl_bench.plots import new_figure
from ssl_bench.protocols.protocol import conventions_of
from ssl_bench.schemas import Document, is_none, read_json
from ssl_bench.statistics.bootstrap import Method

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_REMEDY = "give the folder or result.json that 'ssl-bench evaluate' or 'ssl-bench score' wrote"

QUESTION_FIELDS = {
    "protocol": ("name", "version", "dialect", "composition_seed"),
    "test set": ("name", "split", "revision", "options", "truth_convention", "n_samples"),
}
"""What can tell two questions apart, beside the digests of protocol and test set."""

SETTINGS_TABLES = ("composition", "truth", "map", "threshold", "measures", "controls")
"""Parts of a protocol file that can tell two versions of it apart."""


class MeasuredValue(Document):
    """One measure with its interval; null where it is undefined or unknown."""

    measure: str
    value: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    method: Method
    n_trials: int
    n_groups: int

    def __repr__(self) -> str:
        value = "undefined" if self.value is None else f"{self.value:.4g}"
        bounds = (
            "" if self.low is None or self.high is None else f" [{self.low:.4g}, {self.high:.4g}]"
        )
        return f"<MeasuredValue {self.measure} {value}{bounds}, {self.n_trials:,} trials>"

    __str__ = __repr__


class ProtocolIdentity(Document):
    """Which protocol, on what, under which dialect.

    `trials_digest` stands for what is asked of a model, without how it is scored. `tables` is all
    that `digest` stands for; null on leaderboards and in documents of earlier versions.
    """

    name: str
    label: str
    title: str
    version: int
    digest: str
    trials_digest: str | None = None
    dialect: str
    composition_seed: int
    tables: dict[str, Any] | None = None

    @property
    def conventions(self) -> str:
        """The dialect, and every setting that is known not to be as it ships."""
        return conventions_of(self.name, self.dialect, self.tables or {})


class PredictedUnder(Document):
    """Another protocol, or version of it, with the same trials."""

    label: str
    digest: str


class TestSetIdentity(Document):
    """Which test set; `revision` is null where the annotation is no known published one."""

    __test__ = False  # not a pytest class

    name: str
    split: str
    digest: str
    revision: str | None
    options: dict[str, int]
    n_samples: int
    truth_convention: str


class Coverage(Document):
    """How many of the protocol's trials were answered, and which could not be scored.

    Missing trials count as failures unless `partial`; what unscorable ones, without a truth pixel,
    count as is up to the measure (:attr:`~ssl_bench.measures.definition.Definition.empty`).
    """

    expected: int
    present: int
    partial: bool
    missing: tuple[str, ...]
    unscorable: tuple[str, ...]
    flat_maps: int
    tied_maps: int


class ModelIdentity(Document):
    """The model that made the maps, as far as it is known."""

    name: str
    variant: str | None = None  # Variant of a baseline's recipe; null for a model from elsewhere
    preset: str | None = None
    weights_sha256: str | None = None
    weights: dict[str, Any] | None = None  # What the weights file turned out to be
    alpha: float | None = None  # Weight of the audio-visual map, where an object prior is mixed in
    seed: int | None = None
    options: dict[str, Any] = Field(default_factory=dict)  # Settings that change the maps
    parts: tuple[ModelIdentity, ...] = ()  # The models that it is made of
    # device, precision: Where and how its networks computed; left out for the processor and for 32
    # bits.
    device: str | None = Field(default=None, exclude_if=is_none)
    precision: str | None = Field(default=None, exclude_if=is_none)
    # The frames that it looks at in place of pictures, in words; left out for pictures.
    video: str | None = Field(default=None, exclude_if=is_none)
    notes: dict[str, Any] = Field(default_factory=dict)  # What else its predictions file says


class Reference(Document):
    """A trivial map, or a ceiling, on the same trials.

    `settings` is what the baseline's map depends on, such as a seed and a resolution.
    """

    name: str
    measures: tuple[MeasuredValue, ...]
    settings: dict[str, Any] = Field(default_factory=dict)


class _Shortened(Document):
    """Reads documents of earlier versions too, without the fields that were removed since."""

    _gone: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _drop(cls, content: Any) -> Any:
        if isinstance(content, dict):
            return {name: value for name, value in content.items() if name not in cls._gone}
        return content


class VisionOnly(_Shortened):
    """The model's own audio-blind maps on the same trials."""

    _gone = ("gap",)

    predictions_sha256: str | None
    measures: tuple[MeasuredValue, ...]


class Prior(_Shortened):
    """An audio-blind baseline that looks at images, or other maps made without the sound."""

    _gone = ("gap",)

    name: str
    predictions_sha256: str
    measures: tuple[MeasuredValue, ...]


class Hearing(Document):
    """How much of a score is hearing: what it exceeds the best known score without sound by.

    Attributes
    ----------
    score
        With the sound.
    best_without, without_sound
        The best of everything that is known on these trials and does not listen, by name, such as
        ``prior unet``, and its score. It is picked after the fact, which makes `adds` cautious.
        Null where nothing is known, and of a measure that is won by failing.
    adds
        Score minus `without_sound`, paired by trial, with the sign turned where lower is better:
        a positive value is a gain.
    p_value
        Two-sided paired permutation test of `adds`, which flips whole groups; null where the
        measure is not a mean over trials.
    """

    measure: str
    score: MeasuredValue
    best_without: str | None
    without_sound: MeasuredValue | None
    adds: MeasuredValue | None
    p_value: float | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the whole interval of what hearing adds lies above nothing."""
        return self.adds is not None and self.adds.low is not None and self.adds.low > 0


class Result(Shown, _Shortened):
    """One result document.

    Attributes
    ----------
    predicted_under
        The protocol that the predictions were made for, if another with the same trials.
    breakdown
        For each grouping (``n_boxes``, ``size``, ``category``, ...), each level's measures.
    floors
        Trivial maps; for a ranking, chance.
    ceiling
        Values of perfect maps under the threshold rule.
    vision_only, vision_only_note
        Null where the model has no audio-blind map, and why.
    class_maps_note
        Why trials that ask by category share a map, if known.
    priors, priors_note
        Audio-blind baselines that use images, and why one that the protocol names is missing.
    hearing
        For each measure, what hearing adds to the best of all these. Empty in documents of
        earlier versions.
    predictions_sha256, scores_sha256
        Of the files that lie beside it in a run folder; null where the result was not written there
        or, of the scores, is of an earlier version.

    Examples
    --------
    >>> import numpy as np, ssl_bench
    >>> trials = ssl_bench.open_trials("synth")
    >>> result = ssl_bench.score(np.ones((500, 7, 7)), trials).result
    >>> result
    <Result unnamed on synth@synth:standard, dialect canonical: cIoU@0.5 0.34>
    >>> result["AUC"].value, list(result.to_frame())[:2]
    (0.405, ['measure', 'score'])
    """

    _gone = ("floor", "best_floor", "best_prior")

    format: Literal["ssl-bench-result/1"] = "ssl-bench-result/1"
    protocol: ProtocolIdentity
    predicted_under: PredictedUnder | None = None
    test_set: TestSetIdentity
    coverage: Coverage
    measures: tuple[MeasuredValue, ...]
    breakdown: dict[str, dict[str, tuple[MeasuredValue, ...]]]
    floors: tuple[Reference, ...] = ()
    ceiling: Reference | None = None
    vision_only: VisionOnly | None = None
    vision_only_note: str | None = None
    class_maps_note: str | None = None
    priors: tuple[Prior, ...] = ()
    priors_note: str | None = None
    hearing: tuple[Hearing, ...] = ()
    model: ModelIdentity
    card: dict[str, Any] | None = None
    predictions_sha256: str | None = None
    scores_sha256: str | None = None
    statistics: dict[str, Any]
    environment: dict[str, Any]
    timings: dict[str, float] = Field(default_factory=dict)

    def __getitem__(self, measure: str) -> MeasuredValue:
        """The measure of that text form; raises ResultError where it was not measured."""
        found = {value.measure: value for value in self.measures}
        if measure not in found:
            text = f"{measure!r} was not measured"
            raise ResultError(text, code="E_MEASURE_MISSING", remedy=one_of(found, measure))
        return found[measure]

    @property
    def headline(self) -> str:
        """Model, protocol, dialect, coverage, and the first measure, in one line."""
        first = self.measures[0]
        value = "none" if first.value is None else f"{first.value:.4g}"
        partial = ", partial" if self.coverage.partial else ""
        return (
            f"{self.model.name} on {self.protocol.label}, dialect {self.protocol.dialect}"
            f"{partial}: {first.measure} {value}"
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a measure: score, score without sound and by what, hearing, floor, ceiling.

        Values are as measured, not in percent; ``low`` and ``high`` bound 95 % intervals.
        """
        import pandas as pd

        hearing = {each.measure: each for each in self.hearing}
        ceiling = (
            {each.measure: each.value for each in self.ceiling.measures} if self.ceiling else {}
        )
        rows = []
        for each in self.measures:
            heard = hearing.get(each.measure)
            without = heard and heard.without_sound
            adds = heard and heard.adds
            rows.append(
                {
                    "measure": each.measure,
                    "score": each.value,
                    "low": each.low,
                    "high": each.high,
                    "without_sound": without and without.value,
                    "best_without": heard and heard.best_without,
                    "hearing": adds and adds.value,
                    "hearing_low": adds and adds.low,
                    "hearing_high": adds and adds.high,
                    "ceiling": ceiling.get(each.measure),
                    "trials": each.n_trials,
                }
            )
        return pd.DataFrame(rows)

    def plot(self) -> Figure:
        """A bar for each measure that is a share: score, score without sound, and ceiling."""
        frame = self.to_frame()
        shown = frame[frame["score"].between(0, 1)].iloc[::-1]
        figure = new_figure(6.5, 0.8 + 0.42 * len(shown), layout="constrained")
        axes = figure.subplots()
        names = shown["measure"].tolist()
        axes.barh(names, shown["score"], color="#3b6ea8", height=0.6, label="score")
        for column, colour, label in (
            ("without_sound", "#d97706", "without sound"),
            ("ceiling", "#111827", "ceiling"),
        ):
            places = shown[column].astype(float)
            axes.plot(
                places, names, "|", color=colour, markersize=16, markeredgewidth=2.5, label=label
            )
        axes.set_xlim(0, 1.02)  # a mark at the end is whole
        axes.set_title(self.headline, fontsize=8)
        figure.legend(fontsize=7, loc="outside lower center", ncols=3)
        return figure


def write_result(path: Path, result: Result) -> None:
    """Write a result as JSON, atomically."""
    write_text(path, result.model_dump_json(indent=1) + "\n")


@checked_arguments
def read_result(path: str | os.PathLike[str]) -> Result:
    """Read a result from its file, or from the run folder that holds it.

    Raises
    ------
    ResultError
        If the file is missing, is not JSON, or does not follow the schema.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> done = ssl_bench.evaluate("center", "synth", folder=tempfile.mkdtemp())
    >>> read_result(done.folder) == done.result
    True
    """
    file = folder = Path(path)
    if folder.is_dir():
        file = folder / "result.json"
        if (folder / "predictions.npz").is_file() and not file.exists():
            raise ResultError(
                "this folder holds predictions that were not scored",
                code="E_RUN_UNSCORED",
                where=folder,
                remedy=f"score them first: ssl-bench score {path}",
            )
    return read_json(file, Result, error=ResultError, remedy=_REMEDY)


def differing_fields(first: Result, second: Result) -> list[tuple[str, str, str]]:
    """How the questions of two results differ: protocol, test set and dialect.

    Returns (name of the field, its value in `second`, in `first`). Of two versions of a protocol,
    the settings of its file that differ are named too, such as ``protocol threshold.rule``; a
    digest only where no other field of its part differs.
    """
    found: list[tuple[str, str, str]] = []
    for part, one, other in (
        ("protocol", first.protocol, second.protocol),
        ("test set", first.test_set, second.test_set),
    ):
        differing = [
            (f"{part} {name}", str(getattr(other, name)), str(getattr(one, name)))
            for name in QUESTION_FIELDS[part]
            if getattr(other, name) != getattr(one, name)
        ]
        if part == "protocol":
            differing += _differing_settings(first.protocol, second.protocol)
        if not differing and one.digest != other.digest:
            differing = [(f"{part} digest", other.digest[:12], one.digest[:12])]
        found += differing
    return found


def _differing_settings(
    first: ProtocolIdentity, second: ProtocolIdentity
) -> list[tuple[str, str, str]]:
    """Settings that differ within one protocol and dialect, by their place in its file."""
    same = (first.name, first.dialect) == (second.name, second.dialect)
    if not same or first.tables is None or second.tables is None:
        return []
    one, other = (
        {
            name: value
            for table in SETTINGS_TABLES
            if table in each
            for name, value in _settings(each[table], table)
        }
        for each in (first.tables, second.tables)
    )
    return [
        (f"protocol {name}", str(other.get(name, "nothing")), str(one.get(name, "nothing")))
        for name in sorted({*one, *other})
        if name != "composition.seed" and one.get(name) != other.get(name)
    ]


def _settings(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every value of a table by its dotted name; of a list, its items as a text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _settings(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        yield place, ", ".join(map(str, value)) or "none"
    else:
        yield place, value
