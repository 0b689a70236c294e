"""Documents that ``--json`` prints, each with a schema and a version."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import click
from pydantic import Field, FiniteFloat, TypeAdapter, create_model

from ssl_bench.errors import SslBenchError, one_of
from ssl_bench.leaderboard.card import Retired
from ssl_bench.leaderboard.published import PublishedFigure
from ssl_bench.models.cards import Card
from ssl_bench.models.recipes import Recipe
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.schemas import Document, Strict, is_none
from ssl_bench.scoring.overlap import OverlapScores
from ssl_bench.scoring.results import Coverage, Hearing, MeasuredValue, Result


class Predicted(Document):
    """What ``predict`` wrote."""

    format: Literal["ssl-bench-predict/1"] = "ssl-bench-predict/1"
    protocol: str
    trials: int
    left_out: int  # Trials without maps: unusable, or beyond --limit
    files: tuple[str, ...]


class ComparedPlace(Document):
    """A device and a precision."""

    device: str
    precision: str


class DeviceCheck(Document):
    """How far the maps of a device are from those of the processor."""

    format: Literal["ssl-bench-device-check/1"] = "ssl-bench-device-check/1"
    place: ComparedPlace
    protocol: str
    trials: int
    difference: FiniteFloat  # The largest, as a share of the range of the map
    worst: str  # Its trial
    measures: dict[str, tuple[float, float]]  # By the maps of the processor, and of the device
    bound: tuple[float, float]  # What passes: of a map, and of a measure
    change: float  # The largest of a measure
    passes: float  # The largest of a measure that passes
    agrees: bool


class ResultWithOverlap(Document):
    """A result, and the measures with and without what a training list holds."""

    format: Literal["ssl-bench-overlap/1"] = "ssl-bench-overlap/1"
    result: Result
    overlap: OverlapScores


class UnderDialect(MeasuredValue):
    """A measure under one dialect."""

    dialect: str


class FileProblemFacts(Document):
    """One thing that is wrong with a predictions file."""

    code: str
    message: str
    remedy: str
    where: str
    ids: tuple[str, ...]  # The first few trials concerned
    count: int  # All of them


class Validation(Document):
    """Whether a predictions file can be scored."""

    format: Literal["ssl-bench-validate/1"] = "ssl-bench-validate/1"
    scorable: bool
    protocol: str | None
    # expected, present: Trials of the protocol, and those that the file answers.
    expected: int | None
    present: int | None
    missing: tuple[str, ...]
    problems: tuple[FileProblemFacts, ...]


class Headline(Document):
    """A first measure of an entry between floor and ceiling, and what hearing adds to it."""

    measure: str
    entry: MeasuredValue
    floor: MeasuredValue | None
    ceiling: MeasuredValue | None
    share_of_distance: float | None
    without_sound: MeasuredValue | None
    best_without: str | None
    hearing: MeasuredValue | None


class Submitted(Document):
    """An entry of the leaderboard, and what it changes there."""

    format: Literal["ssl-bench-submit/1"] = "ssl-bench-submit/1"
    slug: str
    protocol: str
    dialect: str
    digest: str
    written: bool
    headline: tuple[Headline, ...]
    vision_only_note: str | None
    hearing_with_given_maps: tuple[Hearing, ...]
    # measures, submitted: By the maps as stored, and as submitted.
    measures: tuple[MeasuredValue, ...]
    submitted: tuple[MeasuredValue, ...]
    coverage: Coverage
    ranked: bool
    tie_group: int | None
    tied_with: tuple[str, ...]
    ranks: tuple[int, int] | None
    replaced: tuple[MeasuredValue, ...]  # Measures of the entry that it replaces
    moved: tuple[str, ...]  # Entries that get another rank
    files: dict[str, int]  # Bytes of each
    removed: tuple[str, ...]
    history: tuple[Retired, ...]


class BoardFinding(Document):
    """One thing that a check of a board found."""

    level: Literal["wrong", "not checked", "trusted"]
    path: str
    message: str
    code: str


class BoardCheck(Document):
    """What a check of a board found."""

    format: Literal["ssl-bench-leaderboard-check/1"] = "ssl-bench-leaderboard-check/1"
    proven: bool
    pages: Literal["built", "not built"]
    entries: int
    findings: tuple[BoardFinding, ...]


# A protocol has its digest as a property, which a subclass cannot make a field.
_FIELDS: dict[str, Any] = {
    name: (field.annotation, field) for name, field in Protocol.model_fields.items()
}
ProtocolDocument = create_model("ProtocolDocument", __base__=Strict, **_FIELDS, digest=(str, ...))
"""A protocol with the digest of its content."""


class TrialRow(Document):
    """What is shown, played and true in one trial."""

    trial: str
    image: str
    sound: str
    targets: tuple[str, ...]
    group: str


class ModelDocument(Card):
    """The card of a baseline, its recipe, and published figures."""

    published_figures: tuple[PublishedFigure, ...]
    recipe: Recipe


class Peaks(Document):
    """Where maps of one picture are highest."""

    format: Literal["ssl-bench-localize/1"] = "ssl-bench-localize/1"
    file: str
    width: int
    height: int
    peaks: dict[str, tuple[int, int]]  # Column and row of each model


class LocalizedVideo(Document):
    """A video with maps that was written."""

    format: Literal["ssl-bench-localize-video/1"] = "ssl-bench-localize-video/1"
    file: str
    pictures: int
    models: tuple[str, ...]


class Pictures(Document):
    """Trials that were drawn."""

    format: Literal["ssl-bench-pictures/1"] = "ssl-bench-pictures/1"
    trials: tuple[str, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]


class DataFinding(Document):
    """One line of a verification report."""

    level: Literal["ok", "note", "missing", "corrupt"]
    item: str
    message: str
    code: str | None


class Verified(Document):
    """What is there of a test set, missing or corrupt."""

    format: Literal["ssl-bench-data-verify/1"] = "ssl-bench-data-verify/1"
    test_set: str
    folder: str | None
    counts: dict[str, int]
    codes: dict[str, int]
    findings: tuple[DataFinding, ...]


class Audit(Document):
    """How many samples of a test set a training list holds."""

    format: Literal["ssl-bench-data-audit/1"] = "ssl-bench-data-audit/1"
    list: str
    protocol: str
    test_set_digest: str
    samples: int
    listed: int
    repeated: int
    without_start: int
    not_understood: int
    marked_test: int
    same_clip: int
    same_video_only: int
    clean: int
    ids: dict[str, tuple[str, ...]]


class Convention(Document):
    """Which picture of a clip is taken."""

    name: str
    about: str
    source: str


class Counts(Document):
    """Numbers of files."""

    images: int
    sounds: int
    videos: int


class ClipProblem(Document):
    """Why something was not made of a clip."""

    id: str
    kind: str
    code: str
    problem: str


class Prepared(Document):
    """Frames, sounds and videos that were made of clips.

    Attributes
    ----------
    again
        Those of ``made`` that took the place of files with other settings.
    unknown
        Those of ``kept`` that do not say what they were made with.
    """

    format: Literal["ssl-bench-data-prepare/1"] = "ssl-bench-data-prepare/1"
    folder: str
    convention: Convention
    made: Counts
    again: Counts
    kept: Counts
    unknown: Counts
    codes: dict[str, int]
    problems: tuple[ClipProblem, ...]


class Features(Document):
    """Features of clips that were made."""

    format: Literal["ssl-bench-data-features/1"] = "ssl-bench-data-features/1"
    file: str
    clips: int
    encoded: int
    written: int | bool
    exact: bool | None  # Whether the neighbours are exact; null where none were found
    problems: tuple[str, ...]


class ImportedMaps(Document):
    """A predictions file that was made of a folder of maps."""

    format: Literal["ssl-bench-import-maps/1"] = "ssl-bench-import-maps/1"
    file: str
    trials: int
    maps: int
    missing: tuple[str, ...]
    shape: tuple[int, int]


class ImportedCIoU(Document):
    """Measures of a file of cIoU per clip."""

    format: Literal["ssl-bench-import-ezvsl-ciou/1"] = "ssl-bench-import-ezvsl-ciou/1"
    protocol: str
    present: int
    expected: int
    undefined: int
    by_trial: bool
    measures: tuple[MeasuredValue, ...]


class CacheKind(Document):
    """One kind of what is kept."""

    files: int
    bytes: int
    # Files that are still there, where it was removed.
    left: int | None = Field(default=None, exclude_if=is_none)


class Cache(Document):
    """What is kept to save time."""

    format: Literal["ssl-bench-cache/1"] = "ssl-bench-cache/1"
    folder: str
    kinds: dict[str, CacheKind]


class Kind(NamedTuple):
    """A kind of document: what it is, which commands print it, and its type."""

    about: str
    commands: tuple[str, ...]
    type: Any  # or the address of a class, as MODULE:CLASS
    several: bool = False  # An array of such documents where several were asked for


_Facts = dict[str, str | float]

DOCUMENTS: Mapping[str, Kind] = {
    "result": Kind("a score", ("evaluate", "score"), Result, several=True),
    "overlap": Kind("score --exclude-overlap", ("score",), ResultWithOverlap),
    "dialects": Kind("score --dialect all", ("score",), list[UnderDialect]),
    "predict": Kind("predictions that were written", ("predict",), Predicted, several=True),
    "device-check": Kind("predict --check-device", ("predict",), list[DeviceCheck]),
    "validate": Kind("whether a file can be scored", ("validate",), Validation),
    "compare": Kind(
        "runs, trial by trial", ("compare",), "ssl_bench.analysis.paired_runs:RunComparison"
    ),
    "explain": Kind(
        "why two results differ", ("explain",), "ssl_bench.analysis.explanation:Explanation"
    ),
    "compare-sets": Kind(
        "a model on several test sets",
        ("compare-sets",),
        "ssl_bench.analysis.across_test_sets:AcrossSets",
    ),
    "contribution": Kind(
        "how much of a score is hearing",
        ("contribution",),
        "ssl_bench.analysis.contribution.document:Contribution",
    ),
    "train": Kind(
        "the record of a training run",
        ("train",),
        "ssl_bench.training.record:TrainingRecord",
        several=True,
    ),
    "reproduction": Kind(
        "a paper's table, run again",
        ("reproduce",),
        "ssl_bench.reproduction.document:Reproduction",
        several=True,
    ),
    "sweep": Kind("a setting over several values", ("sweep",), "ssl_bench.analysis.sweep:Sweep"),
    "submit": Kind("an entry of the leaderboard", ("submit",), Submitted),
    "leaderboard-check": Kind("what a check found", ("leaderboard check",), BoardCheck),
    "protocols": Kind("the protocols", ("protocols",), list[Protocol]),
    "protocol": Kind("protocols NAME", ("protocols",), ProtocolDocument),
    "trials": Kind("protocols NAME --trials", ("protocols",), list[TrialRow]),
    "models": Kind("the models", ("models",), list[Card]),
    "model": Kind("models NAME", ("models",), ModelDocument),
    "measures": Kind("the measures", ("measures",), list[_Facts]),
    "measure": Kind("measures MEASURE", ("measures",), _Facts),
    "localize": Kind("where a picture makes a sound", ("localize",), Peaks),
    "localize-video": Kind("localize VIDEO", ("localize",), LocalizedVideo),
    "pictures": Kind("trials that were drawn", ("pictures",), Pictures),
    "nearest": Kind(
        "sounds by sounds, images by images", ("nearest",), "ssl_bench.analysis.nearest:Nearest"
    ),
    "data-verify": Kind("files of a test set", ("data verify",), Verified),
    "data-audit": Kind("overlap with a training list", ("data audit",), Audit),
    "data-prepare": Kind("frames, sounds and videos of clips", ("data prepare",), Prepared),
    "data-features": Kind("features of clips", ("data features",), Features),
    "import-maps": Kind("predictions of a folder", ("import maps",), ImportedMaps),
    "import-ezvsl-ciou": Kind("cIoU per clip, summed up", ("import ezvsl-ciou",), ImportedCIoU),
    "cache": Kind("what is kept to save time", ("cache",), Cache),
}
"""Every document that ``--json`` prints, by the name that ``ssl-bench schema`` takes."""


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    kind = DOCUMENTS[name].type
    if isinstance(kind, str):
        module, _, attribute = kind.partition(":")
        kind = getattr(importlib.import_module(module), attribute)
    return TypeAdapter(kind)


def schema_of(name: str) -> dict[str, Any]:
    """The JSON schema of a kind of document; raises SslBenchError where there is none.

    Examples
    --------
    >>> schema_of("validate")["properties"]["format"]["const"]
    'ssl-bench-validate/1'
    """
    if name not in DOCUMENTS:
        raise SslBenchError(
            f"no document is called {name!r}", code="E_DOCUMENT", remedy=one_of(DOCUMENTS, name)
        )
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **_adapter(name).json_schema()}


def print_document(name: str, content: Any, *, by_line: bool = False) -> None:
    """Print a document of a kind: a model, or what one can be made of.

    An array has an element on each line if `by_line`.
    """
    document = _document(name, content)
    if by_line:
        click.echo("[\n" + ",\n".join(map(json.dumps, document)) + "\n]")
    else:
        _print(document)


def print_documents(name: str, contents: Sequence[Any]) -> None:
    """Print one document of a kind, or an array of several."""
    documents = [_document(name, each) for each in contents]
    _print(documents[0] if len(documents) == 1 else documents)


def _document(name: str, content: Any) -> Any:
    """What is printed; it follows the schema."""
    adapter = _adapter(name)
    return adapter.dump_python(adapter.validate_python(content, strict=False), mode="json")


def _print(content: Any) -> None:
    click.echo(json.dumps(content, indent=1, ensure_ascii=False))
