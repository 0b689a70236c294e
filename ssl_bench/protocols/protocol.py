"""Protocol, dialect and suite files: everything that changes a number, and its digest.

A protocol file (``protocols/NAME.toml``) states test set, composition of samples into trials, truth
convention, map handling, threshold rule, measures and controls; what it leaves out has its default.
A dialect file (``protocols/dialects/NAME.toml``) restates map handling, threshold rule, truth
convention and measures as one public evaluator has them, to be laid over any protocol. A suite file
(``protocols/suites/NAME.toml``) lists protocols that are run together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ssl_bench.arguments import checked_arguments
from ssl_bench.displays import Shown
from ssl_bench.errors import ProtocolError, one_of
from ssl_bench.files import content_folder, sha256_of_json
from ssl_bench.protocols.conventions import (
    Interpolation,
    MapTable,
    ModelConstants,
    ThresholdTable,
    TruthTable,
)
from ssl_bench.schemas import Strict, read_toml

if TYPE_CHECKING:
    import pandas as pd

# Trials in a batch, as a number of at most nine digits.
_BATCH = re.compile("[1-9][0-9]{0,8}")


class TestSetTable(Strict):
    """Which test set: its name, its split (None for its default) and its own options."""

    __test__ = False  # not a pytest class

    name: str
    split: str | None = None
    options: dict[str, int | str] = Field(default_factory=dict)


class CompositionTable(Strict):
    """How samples become trials: a module of `ssl_bench.trials.compositions` and what it takes."""

    kind: str
    seed: int = Field(0, ge=0)
    parameters: dict[str, int | float | str | bool] = Field(default_factory=dict)


class ControlsTable(Strict):
    """What is computed beside the score, to say how much of it is trivial or needs no sound."""

    # Trivial baselines that run on annotations alone.
    floors: tuple[str, ...] = ("center", "full", "random", "random-pixel")
    ceiling: bool = True
    vision_only: bool = True  # Whether the model's own audio-blind map is scored
    # Audio-blind baselines that look at images, scored on the same trials where their weights ship
    # for the test set: what hearing adds is above the best of all that does without sound.
    priors: tuple[str, ...] = ()


def _each_once(measures: tuple[str, ...]) -> tuple[str, ...]:
    repeated = [measure for measure in measures if measures.count(measure) > 1]
    if repeated:
        raise ValueError(f"{repeated[0]} is listed twice")
    return measures


Measures = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_each_once)]


class Dialect(Strict):
    """One public evaluator's way of turning maps into numbers."""

    name: str
    title: str
    source: str
    description: str = ""
    # Kinds of trials that it can score; None for all that ask for maps.
    compositions: tuple[str, ...] | None = None
    # Constants of the evaluator by name of the model. One has to be chosen.
    models: dict[str, ModelConstants] = Field(default_factory=dict)
    # What the threshold's value is in its other scripts, by what these are for. One may be chosen.
    values: dict[str, float] = Field(default_factory=dict)
    # Whether trivial maps can be scored: not where thresholds are on the scale of one model.
    floors: bool = True
    map: MapTable
    threshold: ThresholdTable
    truth: TruthTable | None = None
    measures: Measures

    def chosen(self, choice: str) -> Dialect:
        """The dialect with the constants of one model or script, or with a batch size."""
        threshold: dict[str, Any] = {}
        interpolation: dict[str, Any] = {}
        models = self.models
        if self.threshold.batch is not None and _BATCH.fullmatch(choice):
            threshold = {"batch": int(choice)}
        elif choice in self.values:
            threshold = {"value": self.values[choice]}
        elif choice in self.models:
            model, models = self.models[choice], {}
            pooled = tuple(model.on_own_scale(value) for value in model.pooled)
            threshold = {"value": model.on_own_scale(model.value), "pooled": pooled}
            interpolation = {
                "interpolation": model.interpolation or self.map.interpolation,
                "interpolation_on": model.interpolation_on or self.map.interpolation_on,
            }
        else:
            raise ProtocolError(
                f"the dialect {self.name!r} has no choice {choice!r}",
                code="E_DIALECT_CHOICE",
                remedy=self._choices,
            )
        changed = {
            "name": f"{self.name}:{choice}",
            "models": models,
            "threshold": self.threshold.model_copy(update=threshold),
            "map": self.map.model_copy(update=interpolation),
        }
        return self.model_copy(update=changed)

    @property
    def form(self) -> str:
        """How the dialect is spelled.

        Examples
        --------
        >>> load_dialect("vssl").form, load_dialect("acl-half").form, load_dialect("dsol").form
        ('vssl:MODEL', 'acl-half[:N]', 'dsol[:duet|solo]')
        """
        if self.models:
            return f"{self.name}:MODEL"
        if self.values:
            return f"{self.name}[:{'|'.join(self.values)}]"
        return self.name if self.threshold.batch is None else f"{self.name}[:N]"

    @property
    def _choices(self) -> str:
        if self.threshold.batch is not None and not self.models:
            return f"write {self.name}:N for a batch of N trials"
        spelled = [f"{self.name}:{choice}" for choice in self.models or self.values]
        return f"write one of: {', '.join(spelled if self.models else (self.name, *spelled))}"

    def applies_to(self, protocol: Protocol) -> bool:
        """Whether the dialect can score a protocol's trials."""
        kinds = self.compositions
        of_kind = kinds is None or protocol.composition.kind in kinds
        return protocol.answers == "maps" and of_kind

    def check_applies(self, protocol: Protocol) -> None:
        """Raise ProtocolError where the dialect cannot score such trials or lacks a choice."""
        if protocol.answers == "retrieval":
            problem = f"the dialect {self.name!r} is about maps, and retrieval protocols have none"
            code, remedy = "E_DIALECT_MAPS", "score it without a dialect"
        elif not self.applies_to(protocol):
            kinds = ", ".join(self.compositions or ())
            problem = f"the dialect {self.name!r} only scores trials of the composition {kinds}"
            code, remedy = "E_DIALECT_COMPOSITION", "choose another dialect"
        else:
            self.check_chosen(where=protocol.label)
            return
        raise ProtocolError(problem, code=code, where=protocol.label, remedy=remedy)

    def check_chosen(self, where: str | None = None) -> None:
        """Raise ProtocolError where the dialect lacks the choice of a model."""
        if self.models:
            raise ProtocolError(
                f"the dialect {self.name!r} has other constants for each model",
                code="E_DIALECT_CHOICE",
                where=where,
                remedy=self._choices,
            )


class Protocol(Shown, Strict):
    """A protocol, as parsed from its file.

    Attributes
    ----------
    reported
        Protocols of published figures that are measured alike.
    answers
        What a model is asked for: a map of each trial, or a ranking of all images and sounds by
        each other. The measures follow from it, so it is not part of the digest.

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
    answers: Literal["maps", "retrieval"] = "maps"
    test_set: TestSetTable
    composition: CompositionTable
    truth: TruthTable = TruthTable()
    map: MapTable = MapTable()
    threshold: ThresholdTable = ThresholdTable()
    measures: Measures
    controls: ControlsTable = ControlsTable()
    dialect: str = "canonical"

    @property
    def headline(self) -> str:
        """Title, label, version and dialect, in one line."""
        return f"{self.title}: {self.label}, version {self.version}, dialect {self.dialect}"

    def to_frame(self) -> pd.DataFrame:
        """One row a setting that changes a number, by its place in the protocol's file."""
        import pandas as pd

        tables = pd.json_normalize(self.tables)
        return pd.DataFrame({"setting": tables.columns, "value": tables.iloc[0].to_numpy()})

    @property
    def digest(self) -> str:
        """SHA-256 over everything that changes a number (prose is left out)."""
        return sha256_of_json(self.tables)

    @property
    def tables(self) -> dict[str, Any]:
        """Everything that changes a number, as JSON-able tables."""
        return self.model_dump(
            mode="json", exclude={"title", "source", "description", "reported", "answers"}
        )

    @property
    def conventions(self) -> str:
        """The dialect, and what is not as it ships (:func:`conventions_of`)."""
        return conventions_of(self.name, self.dialect, self.tables)

    @property
    def label(self) -> str:
        """``NAME@TESTSET:SPLIT``; without the split where it is not spelled out."""
        split = "" if self.test_set.split is None else f":{self.test_set.split}"
        return f"{self.name}@{self.test_set.name}{split}"

    @property
    def interpolation(self) -> Interpolation:
        """The interpolation on this protocol's test set, of maps where something sounds."""
        return self.map.interpolation_on.get(self.test_set.name, self.map.interpolation)

    def on(self, test_set: str, split: str | None = None) -> Protocol:
        """The same protocol on another test set (with that set's own options)."""
        changed: dict[str, Any] = {"test_set": TestSetTable(name=test_set, split=split)}
        if test_set != self.test_set.name:
            # The titles of these are about the test set that they name.
            changed["title"] = _MOVED_TITLES.get(self.composition.kind, self.title)
        return self.model_copy(update=changed)

    def under(self, dialect: Dialect) -> Protocol:
        """The same trials under another evaluator's conventions, where it can score them."""
        dialect.check_applies(self)
        floors = self.controls.floors if dialect.floors else ()
        changed = {
            "map": dialect.map,
            "threshold": dialect.threshold,
            "truth": dialect.truth or self.truth,
            "measures": dialect.measures,
            "controls": self.controls.model_copy(update={"floors": floors}),
            "dialect": dialect.name,
        }
        return self.model_copy(update=changed)


_MOVED_TITLES = {
    "single": "Where is what sounds",
    "extended": "Where is what sounds, with non-sounding pairs",
    "mixture": "Where are two that sound at once",
}
"""Titles of protocols that are moved to another test set, by the kind of composition."""


class Suite(Strict):
    """Protocols that answer one question together."""

    name: str = Field(min_length=1)
    title: str = Field(min_length=1)
    source: str  # Paper and section where they are reported together
    # References as :func:`load_protocol` takes them, each once.
    protocols: tuple[str, ...] = Field(min_length=1)


def protocol_names() -> list[str]:
    """Names of the protocols that ship, in alphabetical order."""
    return sorted(_shipped("."))


def dialect_names() -> list[str]:
    """Names of the dialects that ship, in alphabetical order."""
    return sorted(_shipped("dialects"))


def suite_names() -> list[str]:
    """Names of the suites that ship, in alphabetical order."""
    return sorted(_shipped("suites"))


def _shipped(folder: str) -> dict[str, Path]:
    return {path.stem: path for path in (content_folder("protocols") / folder).glob("*.toml")}


def _file(reference: str, kind: Literal["protocol", "suite"], shipped: dict[str, Path]) -> Path:
    """The file of a name, or that of a path ending in ``.toml``."""
    if reference.endswith(".toml"):
        return Path(reference)
    if reference not in shipped:
        raise ProtocolError(
            f"no {kind} is called {reference!r}",
            code=f"E_{kind.upper()}_UNKNOWN",
            remedy=f"{one_of(sorted(shipped), reference)}, or a path ending in .toml",
        )
    return shipped[reference]


def load_dialect(name: str) -> Dialect:
    """Read one dialect by ``NAME``, or ``NAME:CHOICE`` where it leaves a choice.

    Examples
    --------
    >>> load_dialect("lvs").threshold.comparison
    '>'
    >>> load_dialect("acl-half:16").threshold.batch
    16
    """
    name, colon, choice = name.partition(":")
    shipped = _shipped("dialects")
    if name not in shipped:
        raise ProtocolError(
            f"no dialect is called {name!r}",
            code="E_DIALECT_UNKNOWN",
            remedy=one_of(sorted(shipped), name),
        )
    dialect = read_toml(shipped[name], Dialect)
    return dialect.chosen(choice) if colon else dialect


def conventions_of(name: str, dialect: str, tables: Mapping[str, Any]) -> str:
    """The name of a dialect, and every setting of `tables` that is not as it ships under that name.

    Settings are those of truth, map and threshold; without a dialect, of the protocol that ships
    under `name`, or the defaults.

    Examples
    --------
    >>> conventions_of("vggss", "acl", {"threshold": {"rule": "absolute", "value": 0.35}})
    'acl but threshold.value = 0.35'
    """
    shipped: Protocol | Dialect | None = None
    if dialect != "canonical":
        try:
            shipped = load_dialect(dialect)
        except ProtocolError:
            return dialect
    elif name in _shipped("."):
        shipped = load_protocol(name)
    defaults = {"truth": TruthTable(), "map": MapTable(), "threshold": ThresholdTable()}
    changed = []
    for table, default in defaults.items():
        known = default if shipped is None else getattr(shipped, table)
        if known is None:  # a dialect that takes the protocol's own
            continue
        as_shipped = known.model_dump(mode="json")
        own = tables.get(table, as_shipped)
        changed += [
            f"{table}.{field} = {value}"
            for field, value in own.items()
            if value != as_shipped.get(field)
        ]
    return f"{dialect} but {', '.join(changed)}" if changed else dialect


@checked_arguments
def load_protocol(reference: str | os.PathLike[str] | Protocol) -> Protocol:
    """Read a protocol by ``NAME``, ``NAME@TESTSET``, ``NAME@TESTSET:SPLIT`` or a path to a file.

    A protocol that is loaded already is returned as it is.

    Raises
    ------
    ProtocolError
        If there is none of that name, or its file is malformed.

    Examples
    --------
    >>> load_protocol("concat@vggss").measures[0]
    'cIoU@0.5'
    """
    if isinstance(reference, Protocol):
        return reference
    name, place = os.fspath(reference), ""
    if "@" in name and not name.endswith(".toml"):
        # The last one: a path may hold others.
        name, _, place = name.rpartition("@")
    protocol = read_toml(_file(name, "protocol", _shipped(".")), Protocol)
    if not place:
        return protocol
    test_set, _, split = place.partition(":")
    same = test_set == protocol.test_set.name and split in ("", protocol.test_set.split)
    return protocol if same else protocol.on(test_set, split or None)


def load_suite(reference: str | os.PathLike[str]) -> Suite:
    """Read a suite by name or by path to a file; every protocol that it names must exist, once.

    Examples
    --------
    >>> load_suite("openset").protocols
    ('vggss-heard', 'vggss-unheard')
    """
    path = _file(os.fspath(reference), "suite", _shipped("suites"))
    suite = read_toml(path, Suite)
    seen: dict[str, str] = {}
    for name in suite.protocols:
        try:
            digest = load_protocol(name).digest
        except ProtocolError as error:
            raise ProtocolError(
                error.problem, code=error.code, where=path, remedy=error.remedy
            ) from error
        if digest in seen:
            raise ProtocolError(
                f"{name!r} is the same protocol as {seen[digest]!r}",
                code="E_PROTOCOL_REPEATED",
                where=path,
                remedy="list each protocol once",
            )
        seen[digest] = name
    return suite
