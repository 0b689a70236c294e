"""Thresholds that are found on other maps: those that are set apart, or the first of a batch.

A threshold taken from each map predicts as much where nothing sounds as where something does. A
universal one is a quantile of the maxima of the model's maps where nothing sounds (Juanola et al.
2024, arXiv 2410.01020). It is found on the trials whose attribute ``calibration`` is true, and
these are not scored.

A public evaluator (swimmiing/ACL-SSL, eval_utils.py) takes the threshold of the first map of a
batch for all of it. That is a mistake, which only a dialect repeats.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ProtocolError
from ssl_bench.measures.interpolation import normalise, upsample
from ssl_bench.measures.localization import threshold_of
from ssl_bench.measures.separation import universal_threshold
from ssl_bench.protocols.protocol import FOUND_RULES
from ssl_bench.scoring.scores import MapBatch
from ssl_bench.trials.trial import TrialSet

_ATTRIBUTE = "calibration"


def set_apart(trials: TrialSet) -> NDArray[np.bool_]:
    """Which trials serve to find the universal threshold and are not scored, ``(n,)``.

    None are where the protocol has another rule.

    Raises
    ------
    ProtocolError
        If the rule is ``universal`` and the trials do not say which are set apart.
    """
    if trials.protocol.threshold.rule != "universal":
        return np.zeros(len(trials), np.bool_)
    flags = [trial.attributes.get(_ATTRIBUTE) for trial in trials]
    if not all(isinstance(flag, bool) for flag in flags):
        raise ProtocolError(
            "a universal threshold needs trials that are set apart for it, and these have none",
            where=trials.protocol.label,
            remedy="use the composition negative_audio, or another threshold rule",
        )
    return np.array(flags, np.bool_)


def with_threshold(trials: TrialSet, batches: Iterable[MapBatch]) -> TrialSet:
    """The same trials with the threshold, or thresholds, that these maps give.

    Parameters
    ----------
    trials
        Returned as they are where the protocol's rule needs no other maps.
    batches
        The model's maps, of which only those that the rule names are looked at; not touched where
        it needs none.

    Raises
    ------
    ProtocolError
        If the protocol normalises maps, so that each has the same maximum, or none of the maps
        that are needed is there.
    """
    protocol = trials.protocol
    if protocol.threshold.rule == "first-of-batch":
        return _with_first_thresholds(trials, batches)
    if protocol.threshold.rule != "universal":
        return trials
    if protocol.map.normalisation != "none":
        raise ProtocolError(
            "maps that are normalised one by one have no universal threshold",
            where=protocol.label,
            remedy='write normalisation = "none" under [map]',
        )
    silent = np.array([not trial.sounding for trial in trials])
    wanted = set_apart(trials) & silent
    maxima = [
        float(upsample(heat, protocol.map.size, trials.interpolation(row)).max())
        for batch in batches
        for row, heat in zip(batch.rows, batch.each(), strict=True)
        if wanted[row]
    ]
    if not maxima:
        raise ProtocolError(
            "no map of a silent trial that is set apart is there, so no universal threshold",
            where=protocol.label,
            remedy="predict all trials of the protocol",
        )
    return at_threshold(trials, universal_threshold(maxima, protocol.threshold.value))


def at_threshold(trials: TrialSet, value: float) -> TrialSet:
    """The same trials with a number for a threshold that is found; else as they are."""
    protocol = trials.protocol
    if protocol.threshold.rule not in FOUND_RULES:
        return trials
    found = protocol.threshold.model_copy(update={"rule": "absolute", "value": value})
    changed = protocol.model_copy(update={"threshold": found})
    return TrialSet(changed, trials.test_set, trials.trials)


def _with_first_thresholds(trials: TrialSet, batches: Iterable[MapBatch]) -> TrialSet:
    """Each trial with the half rule's threshold on the first map that is there of its batch."""
    protocol = trials.protocol
    batch_of = np.arange(len(trials)) // (protocol.threshold.batch or 1)
    first = np.full(batch_of[-1] + 1, len(trials))
    found = np.zeros(len(first), np.float32)
    for batch in batches:
        for row, heat in zip(batch.rows.tolist(), batch.each(), strict=True):
            number = batch_of[row]
            if row < first[number]:
                grid = upsample(heat, protocol.map.size, trials.interpolation(row))
                normalised = normalise(grid, protocol.map.normalisation)
                first[number], found[number] = row, threshold_of(normalised, normalised, "half")
    absolute = at_threshold(trials, 0.0).protocol
    return TrialSet(absolute, trials.test_set, trials.trials, found[batch_of])
