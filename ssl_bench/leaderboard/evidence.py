"""What an entry shows beside its result, computed from its predictions and the trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_bench.leaderboard.assessment import (
    MAX_SIDE,
    RANKED,
    CurvePoint,
    DialectScores,
    Evidence,
    GalleryTrial,
    ImagePart,
    ReferenceCurve,
    Replicates,
    ShownMap,
    SoundReference,
    TrialScores,
    TruthMask,
    WithoutSoundMap,
)
from ssl_bench.leaderboard.compact import reduce_map
from ssl_bench.measures.definition import MapOnGrid, Measure
from ssl_bench.measures.localization import predicted
from ssl_bench.measures.values import parse_measure
from ssl_bench.predictions import open_predictions
from ssl_bench.protocols.conventions import Rule
from ssl_bench.protocols.protocol import Protocol, dialect_names, load_dialect
from ssl_bench.scoring.aggregate import breakdown, per_trial, replicates, summarise
from ssl_bench.scoring.checks import measures_of
from ssl_bench.scoring.formatting import position, value_of
from ssl_bench.scoring.hearing import (
    OWN_BLIND,
    OWN_DEAF,
    WithoutSound,
    turned,
)
from ssl_bench.scoring.maps import on_grid
from ssl_bench.scoring.references import Controls
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.scoring.run import Scored
from ssl_bench.testsets.truth import encode_rle
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

GALLERY_SEED = 0
_BEST = 6
_GAINED = 6
_RANDOM = 12  # Fewer where others gain by the sound
_TRUTH_SIDE = 112
_PREDICTED_SIDE = 56
_CURVE = tuple(parse_measure(f"cIoU@{step / 20:.2f}") for step in range(21))
# Where scores agree to this many decimals, the id decides, so that rounding does not.
_DECIMALS = 6


def gather_evidence(
    path: Path,
    trials: TrialSet,
    scored: Scored,
    *,
    dialects: Mapping[str, Protocol],
    show_truth: bool,
    show_maps: bool,
    blind_maps: Mapping[str, Path] | None = None,
    controls: Controls | None = None,
) -> Evidence:
    """Everything that a page shows of an entry beside its result.

    Parameters
    ----------
    path
        The predictions as the board stores them.
    trials
        Trials of the canonical protocol.
    scored
        What these predictions score, also under each of the `dialects`.
    dialects
        See :func:`under_dialects`.
    show_truth
        False where the truth is somebody else's annotation.
    show_maps
        False where the maps could give it away.
    blind_maps
        Predictions made without sound, by the names that `scored` knows them by.
    controls
        Scores of floors and ceiling on these trials.
    """
    measures = measures_of(trials.protocol)[:RANKED]
    told: dict[str, Any] = {"success_curve": (), "gallery": ()}
    if trials.protocol.answers == "maps":
        best = _best_without(scored)
        table = None if best is None or best.scores is None else best.scores()
        shown = _shown_blind(scored, blind_maps or {}) if show_truth else None
        told = {
            "success_curve": success_curve(scored.scores),
            "reference_curves": tuple(_reference_curves(scored, best, controls)),
            "hearing_by": {} if table is None else _hearing_by(scored.scores, table, measures[0]),
            "gallery": _gallery(path, trials, scored, shown, show_truth, show_maps),
            "without_sound": None if shown is None else shown.name,
            "trials": _trial_scores(scored.scores, table) if show_truth else None,
            "change_with_sound": scored.change_with_sound,
        }
    return Evidence(
        dialects=_dialects(trials.protocol, scored, dialects),
        gallery_seed=GALLERY_SEED,
        replicates=tuple(
            Replicates.of(str(measure), replicates(scored.scores, measure)) for measure in measures
        ),
        **told,
    )


def _best_without(scored: Scored) -> WithoutSound | None:
    """What hearing is measured from by the first measure; None for the entry's own maps."""
    name = scored.result.hearing[0].best_without if scored.result.hearing else None
    return next((each for each in scored.without if each.name == name != OWN_DEAF), None)


def _shown_blind(scored: Scored, blind_maps: Mapping[str, Path]) -> _Blind | None:
    """The maps beside which a gallery shows an entry's: its own audio-blind ones, or a prior's."""
    known = {each.name: each for each in scored.without}
    if OWN_DEAF in known:
        return None
    measure = parse_measure(scored.result.measures[0].measure)
    names = [name for name in blind_maps if name in known]
    values = [value_of(known[name].measures, str(measure)) for name in names]
    place = measure.best([None if value is None else value.value for value in values])
    if place is None:
        return None
    name = OWN_BLIND if OWN_BLIND in names else names[place]
    scores = known[name].scores
    return _Blind(name, blind_maps[name], {} if scores is None else _scores_of_trials(scores()))


def _reference_curves(
    scored: Scored, best: WithoutSound | None, controls: Controls | None
) -> Iterator[ReferenceCurve]:
    floor = position(scored.result, scored.result.measures[0].measure).floor_name
    tables: list[tuple[str, str, pd.DataFrame]] = []
    if controls is not None and floor is not None:
        tables.append(("floor", floor, controls.floor(floor)))
    if best is not None and best.scores is not None:
        tables.append(("blind", best.name, best.scores()))
    if controls is not None and scored.result.ceiling is not None:
        tables.append(("ceiling", "ceiling", controls.ceiling))
    for kind, name, table in tables:
        sounding = table[table["sounding"].to_numpy(bool)]
        if "cIoU" in table and len(sounding):
            values = tuple(math.fsum(per_trial(sounding, at)) / len(sounding) for at in _CURVE)
            yield ReferenceCurve.model_validate({"kind": kind, "name": name, "values": values})


def _hearing_by(
    scores: pd.DataFrame, other: pd.DataFrame, measure: Measure
) -> dict[str, dict[str, MeasuredValue]]:
    if not measure.definition.is_mean:
        return {}  # hundreds of resamples of each level would be most of scoring an entry
    found = breakdown(scores, [measure], other=other)
    return {
        name: {level: turned(values[0], measure.sign) for level, values in levels.items()}
        for name, levels in found.items()
    }


def _trial_scores(scores: pd.DataFrame, other: pd.DataFrame | None) -> TrialScores:
    reached = _scores_of_trials(scores)
    without = {} if other is None else _scores_of_trials(other)
    categories = dict(zip(scores["trial_id"], scores["category"], strict=True))
    return TrialScores(
        trials=tuple(reached),
        categories=tuple(str(categories[name]) for name in reached),
        scores=tuple(round(value, _DECIMALS) for value in reached.values()),
        without_sound=tuple(round(without[name], _DECIMALS) for name in reached if without),
    )


def dialects_of(protocol: Protocol) -> list[str]:
    """Dialects that report a protocol's first measure, in alphabetical order.

    One that brings its own truth convention was made for several annotators' boxes; it is left out
    where the protocol's truth is another. So is one whose threshold comes from other maps, or from
    constants of single models.

    Examples
    --------
    >>> from ssl_bench.protocols.protocol import load_protocol
    >>> "slavc" in dialects_of(load_protocol("synth")), dialects_of(load_protocol("retrieval"))
    (True, [])
    """
    if protocol.answers != "maps":
        return []
    found = []
    for name in dialect_names():
        dialect = load_dialect(name)
        if (
            protocol.measures[0] in dialect.measures
            and dialect.applies_to(protocol)
            and dialect.truth in (None, protocol.truth)
            and dialect.threshold.rule in get_args(Rule)
            and not dialect.models
        ):
            found.append(name)
    return found


def under_dialects(protocol: Protocol) -> dict[str, Protocol]:
    """A protocol under each of its :func:`dialects_of`, by name."""
    return {name: protocol.under(load_dialect(name)) for name in dialects_of(protocol)}


def success_curve(scores: pd.DataFrame) -> tuple[CurvePoint, ...]:
    """Share of sounding trials whose cIoU reaches each of 21 thresholds; nothing without a cIoU.

    Parameters
    ----------
    scores
        One row for each trial.
    """
    sounding = scores[scores["sounding"].to_numpy(bool)]
    if "cIoU" not in scores or sounding.empty:
        return ()
    return tuple(
        CurvePoint(at=step / 20, value=found.value, low=found.low, high=found.high)
        for step, found in enumerate(summarise(sounding, _CURVE))
    )


def _dialects(
    protocol: Protocol, scored: Scored, dialects: Mapping[str, Protocol]
) -> tuple[DialectScores, ...]:
    own = measures_of(protocol)
    found = []
    for name, under in dialects.items():
        reported = [measure for measure in own if str(measure) in under.measures]
        found.append(
            DialectScores(
                dialect=name,
                title=load_dialect(name).title,
                digest=under.digest,
                measures=summarise(scored.dialects[name], reported),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class _Blind:
    """Maps made without sound, and the cIoU of each trial that has one."""

    name: str
    path: Path
    scores: Mapping[str, float]


def _gallery(
    path: Path,
    trials: TrialSet,
    scored: Scored,
    blind: _Blind | None,
    show_truth: bool,
    show_maps: bool,
) -> tuple[GalleryTrial, ...]:
    reached = _scores_of_trials(scored.scores)
    names = scored.scores["trial_id"].tolist()
    picked = pick_trials(names, reached, {} if blind is None else blind.scores)
    maps = _maps_of(path, picked) if show_maps else {}
    without = _maps_of(blind.path, picked) if show_maps and blind is not None else {}
    pixels = partial(_predicted, scored.trials) if show_truth else None
    found = []
    for name, why in picked.items():
        trial = trials.trials[trials.index[name]]
        shown = _trial(trials, trial, why, reached.get(name), maps, show_truth)
        update: dict[str, Any] = {}
        if pixels is not None and name in maps:
            update["predicted"] = pixels(name, maps[name])
        if pixels is not None and blind is not None and name in without:
            update["without_sound"] = WithoutSoundMap(
                score=blind.scores.get(name),
                map=_shown_map(without[name]),
                predicted=pixels(name, without[name]),
            )
        found.append(shown.model_copy(update=update))
    return tuple(found)


def _maps_of(path: Path, names: Iterable[str]) -> dict[str, NDArray[np.floating]]:
    predictions = open_predictions(path)
    held = set(predictions.trial_ids)
    return predictions.maps_of(name for name in names if name in held)


def _predicted(trials: TrialSet, name: str, heat: NDArray[np.floating]) -> TruthMask:
    """The pixels that are scored: those of a map that the threshold keeps."""
    row = trials.index[name]
    [truth] = trials.truths([row])
    raw = on_grid(heat, trials, row)
    grid = MapOnGrid(raw, truth, trials.threshold(row), trials.protocol.map.normalisation)
    return _coarse(predicted(grid), _PREDICTED_SIDE)


def _scores_of_trials(scores: pd.DataFrame) -> dict[str, float]:
    """The cIoU of every trial that can have one."""
    if "cIoU" not in scores:
        return {}
    usable = scores["sounding"].to_numpy(bool) & ~scores["unscorable"].to_numpy(bool)
    values = np.nan_to_num(scores["cIoU"].to_numpy(np.float64)[usable])
    names = scores["trial_id"].to_numpy()[usable].tolist()
    return dict(zip(names, np.clip(values, 0, 1).tolist(), strict=True))


def pick_trials(
    names: Iterable[str], reached: Mapping[str, float], without: Mapping[str, float] = {}
) -> dict[str, str]:
    """Trials of a gallery, each once, with why it is there.

    They are the best and the worst, those that gain most by the sound, and random ones.

    Parameters
    ----------
    names
        All trials that count.
    reached
        Scores of those that have one.
    without
        Their scores without sound; empty where they are unknown.

    Examples
    --------
    >>> found = pick_trials(["a", "b", "c"], {"a": 0.1, "b": 0.9})
    >>> found["b"], found["a"], found["c"]
    ('best', 'worst', 'random')
    """
    ranked = sorted(reached, key=lambda name: (-round(reached[name], _DECIMALS), name))
    each = min(_BEST, len(ranked) // 2)
    picked: dict[str, str] = dict.fromkeys(ranked[:each], "best")
    picked.update(dict.fromkeys(reversed(ranked[len(ranked) - each :]), "worst"))
    gains = {
        name: round(reached[name] - without[name], _DECIMALS)
        for name in ranked
        if name in without and name not in picked and reached[name] > without[name]
    }
    gained = sorted(gains, key=lambda name: (-gains[name], name))[:_GAINED]
    picked.update(dict.fromkeys(gained, "gained"))
    rest = sorted(set(names) - picked.keys())
    generator = np.random.default_rng(np.random.SeedSequence([GALLERY_SEED, len(rest)]))
    drawn = generator.permutation(len(rest))[: _RANDOM - len(gained)].tolist()
    picked.update({rest[place]: "random" for place in drawn})
    return picked


def _trial(
    trials: TrialSet,
    trial: Trial,
    why: str,
    score: float | None,
    maps: Mapping[str, NDArray[np.floating]],
    show_truth: bool,
) -> GalleryTrial:
    heat = maps.get(trial.id)
    return GalleryTrial.model_validate(
        {
            "trial": trial.id,
            "picked": why,
            "score": score,
            "category": trial.category,
            "role": trial.role,
            "sounding": trial.sounding,
            "image": tuple(
                ImagePart(sample=sample, placement=(float(a), float(b), float(c), float(d)))
                for sample, (a, b, c, d) in trial.image.parts
            ),
            "sound": SoundReference(
                samples=trial.audio.samples, kind=trial.audio.kind, seed=trial.audio.seed
            ),
            "truth": _truth_mask(trials, trial) if show_truth and trial.sounding else None,
            "map": None if heat is None else _shown_map(heat),
        }
    )


def _shown_map(heat: NDArray[np.floating]) -> ShownMap:
    if max(heat.shape) > MAX_SIDE:
        heat = reduce_map(heat, *(min(side, MAX_SIDE) for side in heat.shape))
    return ShownMap.of(heat)


def _truth_mask(trials: TrialSet, trial: Trial) -> TruthMask:
    """The truth at the centres of a coarse grid's cells: where it exceeds one half."""
    [truth] = trials.truths([trials.index[trial.id]], whole=True)
    return _coarse(truth > 0.5, _TRUTH_SIDE)


def _coarse(mask: NDArray[np.bool_], side: int) -> TruthMask:
    side = min(side, len(mask))
    centres = ((2 * np.arange(side) + 1) * len(mask)) // (2 * side)
    code = encode_rle(mask[np.ix_(centres, centres)])
    height, width = code["size"]
    return TruthMask(size=(height, width), counts=code["counts"])
