"""Protocol and dialect files: everything that changes a number, and its digest.

A protocol file (``protocols/NAME.toml``) states test set, composition of samples into trials, truth
convention, map handling, threshold rule, measures and controls. A dialect file
(``protocols/dialects/NAME.toml``) restates map handling, threshold rule, truth convention and
measures as one public evaluator has them, to be laid over any protocol.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from ssl_bench.content import content_folder
from ssl_bench.errors import ProtocolError
from ssl_bench.files import sha256_of_json

Interpolation = Literal[
    "bilinear-corners",
    "bilinear-half-pixel",
    "bicubic-corners",
    "bicubic-half-pixel",
    "opencv-linear",
]
Normalisation = Literal["none", "minmax", "inverted-minmax", "maximum"]
Rule = Literal["half", "adaptive", "absolute", "fraction"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TestSetTable(_Table):
    """Which test set: its name, its split (None for its default) and its own options."""

    __test__ = False  # not a pytest class

    name: str
    split: str | None = None
    options: dict[str, int | str] = Field(default_factory=dict)


class CompositionTable(_Table):
    """How samples become trials: the kind (a module of `ssl_bench.compositions`) and its seed."""

    kind: str
    seed: int = 0
    parameters: dict[str, int | float | str | bool] = Field(default_factory=dict)


class TruthTable(_Table):
    """Which truth: a named convention, or ``test-set`` for the one that the test set declares."""

    convention: Literal[
        "test-set", "union", "consensus", "consensus-one-based", "annotator-mean", "mask"
    ] = "test-set"


class MapTable(_Table):
    """How a submitted map of any size becomes a map on the grid.

    `interpolation_on` names test sets on which an evaluator interpolates otherwise.
    """

    size: int = Field(default=224, ge=1, le=2048)
    interpolation: Interpolation = "bilinear-corners"
    interpolation_on: dict[str, Interpolation] = Field(default_factory=dict)
    normalisation: Normalisation = "minmax"


class ThresholdTable(_Table):
    """How a map on the grid becomes a binary prediction.

    Attributes
    ----------
    rule
        ``half``: the order statistic s[N // 2] of the N ascending values. ``adaptive``: s[N - k], k
        the number of truth pixels (it sees the truth). ``absolute``: `value` itself. ``fraction``:
        `value` times the maximum.
        ``universal``: one threshold for all maps of a model, the quantile `value` of the maxima
        of its maps where nothing sounds, over the trials that are set apart for it.
    value
        For ``absolute``, ``fraction`` and ``universal``.
    comparison
        A pixel is predicted if its value is ``>=`` or ``>`` the threshold.
    keep_maximum
        Pixels at the normalised maximum 1 are predicted even when the threshold is 1 (`lvs`).
    undefined
        What an undefined cIoU (empty truth and empty prediction) counts as: ``zero``, or ``nan``:
        it fails every success test and makes a mean undefined, as in the public evaluators.
    """

    rule: Rule | Literal["universal"] = "half"
    value: float = 0.5
    comparison: Literal[">=", ">"] = ">="
    keep_maximum: bool = False
    undefined: Literal["zero", "nan"] = "zero"

    @property
    def rule_of_map(self) -> Rule:
        """The rule, which needs no more than the map and its truth.

        Raises
        ------
        ProtocolError
            If it is ``universal``: the threshold has to be found first, from other maps.
        """
        if self.rule == "universal":
            raise ProtocolError("the universal threshold depends on maps that were not given")
        return self.rule


class ControlsTable(_Table):
    """What is computed beside the score, to say how much of it is trivial or needs no sound.

    Attributes
    ----------
    floors
        Trivial baselines that run on annotations alone.
    ceiling
        Whether the best that the threshold rule allows is computed.
    vision_only
        Whether the model's own audio-blind map is scored.
    priors
        Audio-blind baselines that look at images; the gap to each is measured where its weights
        ship for the test set.
    """

    floors: tuple[str, ...] = ("center", "full", "random", "random-pixel")
    ceiling: bool = True
    vision_only: bool = True
    priors: tuple[str, ...] = ()


def _in_words(problem: ErrorDetails) -> str:
    """One problem that pydantic found, as a person would say it."""
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{field} is not a known field"
    if problem["type"] == "missing":
        return f"{field} is missing"
    if problem["type"] == "value_error":
        return f"{field}: {problem['ctx']['error']}"
    return f"{field}: {problem['msg'].lower()}"


def _each_once(measures: tuple[str, ...]) -> tuple[str, ...]:
    for measure in measures:
        if measures.count(measure) > 1:
            raise ValueError(f"{measure} is listed twice")
    return measures


Measures = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_each_once)]


class Dialect(_Table):
    """One public evaluator's way of turning maps into numbers."""

    name: str
    title: str
    source: str
    description: str = ""
    map: MapTable
    threshold: ThresholdTable
    truth: TruthTable | None = None
    measures: Measures


class Protocol(_Table):
    """A protocol, as parsed from its file.

    Examples
    --------
    >>> protocol = load_protocol("concat")
    >>> protocol.composition.kind
    'concat'
    >>> load_protocol("concat@vggss").test_set.name
    'vggss'
    """

    name: str
    title: str
    version: int = Field(ge=1)
    source: str
    description: str = ""
    reported: tuple[str, ...] = ()
    test_set: TestSetTable
    composition: CompositionTable
    truth: TruthTable = TruthTable()
    map: MapTable = MapTable()
    threshold: ThresholdTable = ThresholdTable()
    measures: Measures
    controls: ControlsTable = ControlsTable()
    dialect: str = "canonical"

    @property
    def digest(self) -> str:
        """SHA-256 over everything that changes a number (prose is left out)."""
        prose = {"title", "source", "description", "reported"}
        return sha256_of_json(self.model_dump(mode="json", exclude=prose))

    @property
    def label(self) -> str:
        """``NAME@TESTSET:SPLIT``; without the split where it is not spelled out."""
        split = "" if self.test_set.split is None else f":{self.test_set.split}"
        return f"{self.name}@{self.test_set.name}{split}"

    @property
    def answers(self) -> Literal["maps", "retrieval"]:
        """What a model is asked for: a map of each trial, or a ranking of all by each."""
        return "retrieval" if self.composition.kind == "retrieval" else "maps"

    @property
    def interpolation(self) -> Interpolation:
        """The interpolation on this protocol's test set."""
        return self.map.interpolation_on.get(self.test_set.name, self.map.interpolation)

    def on(self, test_set: str, split: str | None = None) -> Protocol:
        """The same protocol on another test set (with that set's own options)."""
        return self.model_copy(update={"test_set": TestSetTable(name=test_set, split=split)})

    def under(self, dialect: Dialect) -> Protocol:
        """The same trials under another evaluator's conventions.

        Raises
        ------
        ProtocolError
            If the protocol asks for a ranking: dialects say how maps are read.
        """
        if self.answers == "retrieval":
            raise ProtocolError(
                f"the dialect {dialect.name!r} says how maps are read, and this protocol has none",
                where=self.label,
                remedy="score it without a dialect",
            )
        changed = {
            "map": dialect.map,
            "threshold": dialect.threshold,
            "truth": dialect.truth or self.truth,
            "measures": dialect.measures,
            "dialect": dialect.name,
        }
        return self.model_copy(update=changed)


_Model = TypeVar("_Model", bound=BaseModel)


def read_toml(path: Path, model: type[_Model]) -> _Model:
    """Read a file of ``protocols/`` as its schema says.

    Raises
    ------
    ProtocolError
        If it cannot be read, is not TOML, or does not follow the schema; every field is named.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolError(f"this file cannot be read ({error})", where=path) from error
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(
            f"this is not valid TOML ({error})", where=path, remedy="mend the line it names"
        ) from error
    try:
        # Strict mode takes a list for a tuple only where it reads JSON.
        return model.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        problems = "; ".join(_in_words(problem) for problem in error.errors())
        raise ProtocolError(
            problems, where=path, remedy="'ssl-bench protocols NAME' shows a valid file's fields"
        ) from error


def protocol_names() -> list[str]:
    """Names of the protocols that ship, in alphabetical order."""
    return sorted(path.stem for path in content_folder("protocols").glob("*.toml"))


def dialect_names() -> list[str]:
    """Names of the dialects that ship, in alphabetical order."""
    return sorted(path.stem for path in (content_folder("protocols") / "dialects").glob("*.toml"))


def load_dialect(name: str) -> Dialect:
    """Read one dialect by name.

    Raises
    ------
    ProtocolError
        If there is none of that name, or its file is malformed.

    Examples
    --------
    >>> load_dialect("lvs").threshold.comparison
    '>'
    """
    path = content_folder("protocols") / "dialects" / f"{name}.toml"
    if name not in dialect_names():
        raise ProtocolError(
            f"no dialect is called {name!r}", remedy=f"use one of: {', '.join(dialect_names())}"
        )
    return read_toml(path, Dialect)


def load_protocol(reference: str) -> Protocol:
    """Read a protocol by ``NAME``, ``NAME@TESTSET``, ``NAME@TESTSET:SPLIT`` or a path to a file.

    Raises
    ------
    ProtocolError
        If there is none of that name, or its file is malformed.
    """
    name, place = reference, ""
    if "@" in reference and not reference.endswith(".toml"):
        # The last one: a path may hold others.
        name, _, place = reference.rpartition("@")
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise ProtocolError("this protocol file does not exist", where=path)
    else:
        path = content_folder("protocols") / f"{name}.toml"
        if name not in protocol_names():
            raise ProtocolError(
                f"no protocol is called {name!r}",
                remedy=f"use one of: {', '.join(protocol_names())}, or a path ending in .toml",
            )
    protocol = read_toml(path, Protocol)
    if not place:
        return protocol
    test_set, _, split = place.partition(":")
    same = test_set == protocol.test_set.name and split in ("", protocol.test_set.split)
    return protocol if same else protocol.on(test_set, split or None)
