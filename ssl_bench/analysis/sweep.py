"""One setting over several values: its scores as a table.

``alpha`` mixes maps that are made once, or stored; ``threshold`` scores maps that are made once, or
stored, under several thresholds; ``option.NAME`` runs a model with several values of one of its
options; ``change.NAME`` trains it with several values of a field of its recipe, and runs each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.analysis.evaluation import run_predict
from ssl_bench.analysis.request import Request
from ssl_bench.analysis.run_folder import PREDICTIONS, VISION_ONLY
from ssl_bench.analysis.sweep_request import Asked, SweepError
from ssl_bench.displays import Shown
from ssl_bench.files import temporary_folder
from ssl_bench.models.mixing import mix
from ssl_bench.models.object_guided import ObjectGuided
from ssl_bench.models.registry import list_baselines, load_baseline, load_localizer
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.protocol import Protocol, load_dialect, load_protocol
from ssl_bench.schemas import Document, value_of
from ssl_bench.scoring.checks import check_predictions
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.scoring.run import ScoringOptions, score, score_file
from ssl_bench.trials.compositions import open_trials, with_split
from ssl_bench.trials.trial_set import TrialSet

if TYPE_CHECKING:
    from ssl_bench.analysis.trained_values import TrainedValues

SHORT = {
    "top": "option.top",
    "dimension": "change.architecture.dimension",
    "train-size": "change.scenes",
}
"""Names for settings that papers vary, and what they stand for."""

ALPHA, THRESHOLD = "alpha", "threshold"
_OPTION, _CHANGE = "option.", "change."


class Point(Document):
    """Scores with one value of the setting.

    Attributes
    ----------
    value
        As it was given.
    measures
        With the sound, each with its interval.
    without_sound
        Those of the model's own audio-blind maps, where there are any.
    """

    value: str
    measures: tuple[MeasuredValue, ...]
    without_sound: tuple[MeasuredValue, ...] = ()


class Sweep(Shown, Document):
    """A setting, and the scores with each of its values.

    Attributes
    ----------
    notes
        What a user should know of how weights were trained.

    Examples
    --------
    >>> import ssl_bench
    >>> found = ssl_bench.sweep("top", "gradcam", "synth", [1, 10], measures=["AUC"], limit=4)
    >>> found.to_frame()[["value", "measure"]].values.tolist()
    [['1', 'AUC'], ['10', 'AUC']]
    """

    format: Literal["ssl-bench-sweep/1"] = "ssl-bench-sweep/1"
    setting: str
    model: str
    protocol: str
    dialect: str
    partial: bool
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """What was varied, of what, on what."""
        return f"{self.setting} of {self.model} on {self.protocol}, {len(self.points)} values"

    def to_frame(self) -> pd.DataFrame:
        """One row for each value and measure; scores and bounds as measured, not in percent."""
        return pd.DataFrame(
            {
                "setting": self.setting,
                "value": point.value,
                "sound": sound,
                "measure": each.measure,
                "score": each.value,
                "low": each.low,
                "high": each.high,
            }
            for point in self.points
            for sound, measured in (("with", point.measures), ("without", point.without_sound))
            for each in measured
        )


def sweep(asked: Asked) -> Sweep:
    """Score one setting over several values.

    Raises
    ------
    SweepError
        If the setting is none that can be varied, a value is no number where one is needed, or
        the stored maps do not fit.
    SslBenchError
        If the model, the protocol or the data cannot be used.
    """
    setting = SHORT.get(asked.setting, asked.setting)
    work = _Work(replace(asked, setting=setting), asked.setting)
    kinds: Mapping[str, Callable[[], Iterator[Point]]] = {
        ALPHA: work.alphas,
        THRESHOLD: work.thresholds,
        _OPTION: work.options,
        _CHANGE: work.changes,
    }
    named = next((name for name in kinds if _is_of(setting, name)), None)
    if named is None:
        raise SweepError(
            f"{asked.setting!r} cannot be varied",
            code="E_SWEEP_SETTING",
            remedy=f"use one of: {', '.join((ALPHA, THRESHOLD, *SHORT))}, option.NAME, change.NAME",
        )
    if named == _CHANGE:
        # What is missing is told before what is wrong with the values.
        work.trained.require_data(asked.values)
    if len(set(asked.values)) < 2:
        raise SweepError(
            "one value is no sweep", code="E_SWEEP_VALUES", remedy="give two different ones or more"
        )
    with asked.request.executor.held():
        points = tuple(kinds[named]())
    return Sweep(
        setting=setting,
        model=work.model,
        protocol=work.trials.protocol.label,
        dialect=work.conventions.dialect,
        partial=work.partial,
        points=points,
        notes=tuple(work.notes),
    )


def _is_of(setting: str, kind: str) -> bool:
    if kind.endswith("."):
        return setting.startswith(kind) and setting != kind
    return setting == kind


@dataclass
class _Work:
    asked: Asked
    named: str  # What the user calls the setting
    trials: TrialSet = field(init=False)
    conventions: Protocol = field(init=False)
    model: str = field(init=False)
    partial: bool = field(init=False)
    notes: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        request = self.asked.request
        protocol = with_split(load_protocol(self.asked.protocol), data=request.data)
        self.trials = open_trials(protocol, request.data)
        if request.dialect is not None:
            protocol = protocol.under(load_dialect(request.dialect))
        if self.asked.measures:
            protocol = protocol.model_copy(update={"measures": tuple(self.asked.measures)})
        self.conventions = protocol
        self.partial = request.limit is not None or request.missing == "skip"
        self.model = request.model if isinstance(request.model, str) else request.model.name

    def alphas(self) -> Iterator[Point]:
        """Mixes of maps with those of an object prior."""
        weights = self._numbers(0.0, 1.0)
        with temporary_folder() as scratch:
            if self.asked.maps is not None or self.asked.prior_maps is not None:
                if self.asked.maps is None or self.asked.prior_maps is None:
                    raise SweepError(
                        "mixing stored maps needs those of the model and those of the prior",
                        code="E_SWEEP_MAPS",
                        remedy="give both, or none and a model",
                    )
                files = [self.asked.maps, self.asked.prior_maps]
                name = self.model if self.model in list_baselines() else None
                guidance = load_baseline(name or "ezvsl").guidance(self.asked.request.variant)
            else:
                guided = self._guided()
                guidance = guided.guidance
                files = [
                    self._predict(replace(self.asked.request, model=part), scratch / str(number))
                    for number, part in enumerate((guided.audio_visual, guided.prior))
                ]
            heard, seen = (self._stored(path) for path in files)
            ids = [trial for trial in self.trials.ids if trial in heard and trial in seen]
            self.partial = self.partial or len(ids) < len(self.trials)
            for text, weight in zip(self.asked.values, weights, strict=True):
                self.asked.notify(f"alpha {text}")
                maps = {
                    trial: mix(heard[trial][None], seen[trial][None], weight, guidance)[0]
                    for trial in ids
                }
                scored = score(
                    maps, self.trials, conventions=self.conventions, options=self._options()
                )
                yield Point(value=text, measures=scored.result.measures)

    def thresholds(self) -> Iterator[Point]:
        """The same maps, cut at several thresholds."""
        rule = self.conventions.threshold.rule
        if rule not in ("absolute", "fraction", "universal"):
            raise SweepError(
                f"the threshold rule of {self.conventions.label} is {rule!r}, which has no value",
                code="E_SWEEP_RULE",
                where=self.conventions.dialect,
                remedy="choose a dialect that cuts maps at a value, such as --dialect acl or lin",
            )
        values = self._numbers()
        with temporary_folder() as scratch:
            path = self.asked.maps or self._predict(self.asked.request, scratch)
            for text, value in zip(self.asked.values, values, strict=True):
                self.asked.notify(f"threshold {text}")
                table = self.conventions.threshold.model_copy(update={"value": value})
                yield self._point(
                    text, path, self.conventions.model_copy(update={"threshold": table})
                )

    def options(self) -> Iterator[Point]:
        """A model with several values of one of its options."""
        name = self.asked.setting.removeprefix(_OPTION)
        for text in self.asked.values:
            self.asked.notify(f"{name} {text}")
            settings = {**self.asked.request.settings, name: value_of(text)}
            with temporary_folder() as scratch:
                path = self._predict(replace(self.asked.request, settings=settings), scratch)
                yield self._point(text, path, self.conventions)

    def changes(self) -> Iterator[Point]:
        """A model trained with several values of a field of its recipe."""
        trained, request = self.trained, self.asked.request
        trained.check(self.asked.values)
        trained.train_due(self.asked.values, request.executor)
        for text in self.asked.values:
            weights, variant = trained.weights(text), trained.plan.variant
            with temporary_folder() as scratch:
                path = self._predict(replace(request, variant=variant, weights=weights), scratch)
                yield self._point(text, path, self.conventions)
        self.notes += trained.notes

    @cached_property
    def trained(self) -> TrainedValues:
        """The weights of each value; SweepError for a model without a recipe."""
        request = self.asked.request
        if self.model not in list_baselines():
            raise SweepError(
                f"{self.model} has no training recipe here",
                code="E_SWEEP_TRAINING",
                remedy="vary one of its options, or train it with your own code",
            )
        # Not at the top: it needs an extra.
        from ssl_bench.analysis.trained_values import TrainedValues

        return TrainedValues(
            self.model,
            request.variant,
            self.asked.setting.removeprefix(_CHANGE),
            self.named,
            self.asked.training,
            self.trials,
            resample=bool(request.settings.get("resample")),
            jobs=request.jobs,
            progress=self.asked.progress,
            notify=self.asked.notify,
        )

    def _numbers(self, low: float = -np.inf, high: float = np.inf) -> list[float]:
        found = []
        for text in self.asked.values:
            try:
                number = float(text)
            except ValueError:
                number = np.nan
            if not low <= number <= high:
                bounds = "" if low == -np.inf else f" between {low:g} and {high:g}"
                raise SweepError(
                    f"{text!r} is no value of {self.asked.setting}",
                    code="E_SWEEP_VALUES",
                    remedy=f"give numbers{bounds}",
                )
            found.append(number)
        return found

    def _guided(self) -> ObjectGuided:
        request = self.asked.request
        settings = dict(request.settings)
        if not isinstance(request.model, str):
            raise SweepError(
                "a model is mixed by its name here", code="E_SWEEP_MODEL", remedy="give its name"
            )
        loaded = load_localizer(
            request.model,
            variant=request.variant,
            weights=request.weights,
            alpha=0.5,
            seed=request.seed,
            options=settings,
        )
        assert isinstance(loaded, ObjectGuided)
        return loaded

    def _predict(self, request: Request, folder: Path) -> Path:
        """Maps of a model on the trials; its audio-blind ones lie beside them, if it has any."""
        if not isinstance(request.model, str):
            request = replace(request, variant=None, weights=None, settings={}, seed=0)
        if (request.device or "cpu", request.precision) != ("cpu", "32"):
            place = request.place
            note = f"maps were computed on {place.device} in precision {place.precision}"
            self.notes = list(dict.fromkeys([*self.notes, note]))
        given = replace(request, folder=folder, dialect=None)
        [(_, written)] = run_predict(given, [self.asked.protocol], progress=self.asked.progress)
        return written.predictions

    def _stored(self, path: Path) -> dict[str, NDArray[np.float32]]:
        file = path / PREDICTIONS if path.is_dir() and (path / PREDICTIONS).is_file() else path
        checked = check_predictions(file, self.trials, partial=True)
        maps = open_predictions(file).maps_of(checked.trial_ids)
        return {trial: heat.astype(np.float32) for trial, heat in maps.items()}

    def _options(self) -> ScoringOptions:
        return ScoringOptions(partial=self.partial, jobs=self.asked.request.jobs, broken_down=1)

    def _point(self, text: str, path: Path, conventions: Protocol) -> Point:
        file = path / PREDICTIONS if path.is_dir() and (path / PREDICTIONS).is_file() else path
        blind = file.parent / VISION_ONLY
        scored = score_file(
            file,
            self.trials,
            vision_only=blind if file.name == PREDICTIONS and blind.is_file() else None,
            conventions=conventions,
            options=self._options(),
        )
        found = scored.result
        self.partial = self.partial or found.coverage.partial
        without = () if found.vision_only is None else found.vision_only.measures
        return Point(value=text, measures=found.measures, without_sound=without)
