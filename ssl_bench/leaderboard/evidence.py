"""What an entry shows beside its result, computed from its predictions and the trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

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
    Replicates,
    ShownMap,
    SoundReference,
    TruthMask,
)
from ssl_bench.leaderboard.compact import SIDE, reduce_map
from ssl_bench.measures.values import parse_measure
from ssl_bench.predictions import Predictions, open_predictions
from ssl_bench.protocols.conventions import Rule
from ssl_bench.protocols.protocol import Protocol, dialect_names, load_dialect
from ssl_bench.scoring.aggregate import replicates, summarise
from ssl_bench.scoring.run import Scored, measures_of
from ssl_bench.testsets.truth import encode_rle
from ssl_bench.trials.trial import AudioRecipe, ImageRecipe, Trial, TrialSet

GALLERY_SEED = 0
_BEST = 6
_RANDOM = 12
_TRUTH_SIDE = 112
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
    """
    maps_asked = trials.protocol.answers == "maps"
    measures = measures_of(trials.protocol)[:RANKED]
    return Evidence(
        success_curve=success_curve(scored.scores) if maps_asked else (),
        dialects=_dialects(trials.protocol, scored, dialects),
        gallery_seed=GALLERY_SEED,
        gallery=_gallery(path, trials, scored.scores, show_truth, show_maps) if maps_asked else (),
        replicates=tuple(
            Replicates.of(str(measure), replicates(scored.scores, measure)) for measure in measures
        ),
        change_with_sound=change_with_sound(open_predictions(path), trials),
    )


def change_with_sound(predictions: Predictions, trials: TrialSet) -> float | None:
    """How much maps of one picture differ under several sounds, as a share of their range.

    The largest difference of any picture's maps, each reduced to at most 14 x 14; None where no
    picture comes with several sounds, or there are no maps.
    """
    sounds: dict[ImageRecipe, set[AudioRecipe]] = {}
    for trial in trials:
        sounds.setdefault(trial.image, set()).add(trial.audio)
    if "map" not in predictions.members or all(len(each) < 2 for each in sounds.values()):
        return None
    first: dict[ImageRecipe, NDArray[np.float64]] = {}
    largest = 0.0
    for positions, maps in predictions.iter_maps():
        small = reduce_map(maps, *(min(SIDE, side) for side in maps.shape[1:]))
        for position, heat in zip(positions.tolist(), small, strict=True):
            name = predictions.trial_ids[position]
            image = trials.trials[trials.index[name]].image
            other = first.setdefault(image, heat)
            if other.shape != heat.shape:
                return 1.0
            extent = float(max(np.ptp(other), np.ptp(heat)))
            if extent > 0:
                largest = max(largest, float(np.abs(other - heat).max()) / extent)
    return largest


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


def _gallery(
    path: Path, trials: TrialSet, scores: pd.DataFrame, show_truth: bool, show_maps: bool
) -> tuple[GalleryTrial, ...]:
    predictions = open_predictions(path)
    reached = _scores_of_trials(scores)
    picked = pick_trials(scores["trial_id"].tolist(), reached)
    held = set(predictions.trial_ids)
    maps = predictions.maps_of(name for name in picked if name in held) if show_maps else {}
    return tuple(
        _trial(trials, trials.trials[trials.index[name]], why, reached.get(name), maps, show_truth)
        for name, why in picked.items()
    )


def _scores_of_trials(scores: pd.DataFrame) -> dict[str, float]:
    """The cIoU of every trial that can have one."""
    if "cIoU" not in scores:
        return {}
    usable = scores["sounding"].to_numpy(bool) & ~scores["unscorable"].to_numpy(bool)
    values = np.nan_to_num(scores["cIoU"].to_numpy(np.float64)[usable])
    names = scores["trial_id"].to_numpy()[usable].tolist()
    return dict(zip(names, np.clip(values, 0, 1).tolist(), strict=True))


def pick_trials(names: Iterable[str], reached: Mapping[str, float]) -> dict[str, str]:
    """Trials of a gallery: best, worst and random ones, each once, with why it is there.

    Parameters
    ----------
    names
        All trials that count.
    reached
        Scores of those that have one.

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
    rest = sorted(set(names) - picked.keys())
    generator = np.random.default_rng(np.random.SeedSequence([GALLERY_SEED, len(rest)]))
    drawn = generator.permutation(len(rest))[:_RANDOM].tolist()
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
    if heat is not None and max(heat.shape) > MAX_SIDE:
        heat = reduce_map(heat, *(min(side, MAX_SIDE) for side in heat.shape))
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
            "map": None if heat is None else ShownMap.of(heat),
        }
    )


def _truth_mask(trials: TrialSet, trial: Trial) -> TruthMask:
    """The truth at the centres of a coarse grid's cells: where it exceeds one half."""
    [truth] = trials.truths([trials.index[trial.id]], whole=True)
    side = min(_TRUTH_SIDE, len(truth))
    centres = ((2 * np.arange(side) + 1) * len(truth)) // (2 * side)
    code = encode_rle(truth[np.ix_(centres, centres)] > 0.5)
    height, width = code["size"]
    return TruthMask(size=(height, width), counts=code["counts"])
