"""Thresholds that are found on other maps: those that are set apart, or the first of a batch.

A threshold taken from each map predicts as much where nothing sounds as where something does. A
universal one is a quantile of the maxima of the model's maps where nothing sounds (Juanola et al.
2024, arXiv 2410.01020), on trials whose attribute ``calibration`` is true, which are not scored.

A public evaluator (swimmiing/ACL-SSL, eval_utils.py) takes the threshold of the first map of a
batch for all of it: a mistake, which only a dialect repeats.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import ProtocolError
from ssl_bench.measures.interpolation import normalise
from ssl_bench.measures.localization import threshold_of
from ssl_bench.measures.separation import universal_threshold
from ssl_bench.protocols.conventions import DATASET_RULES, Rule
from ssl_bench.scoring.maps import MapBatch, Maps, on_grid, perfect_maps, row_chunks
from ssl_bench.trials.trial_set import TrialSet

_ATTRIBUTE = "calibration"


def set_apart(trials: TrialSet) -> NDArray[np.bool_]:
    """Which trials only serve to find the universal threshold, ``(n,)``; none under another rule.

    Raises ProtocolError if the rule is ``universal`` and no trials are marked.
    """
    if trials.protocol.threshold.rule != "universal":
        return np.zeros(len(trials), np.bool_)
    flags = [trial.attributes.get(_ATTRIBUTE) for trial in trials.trials]
    if not all(isinstance(flag, bool) for flag in flags):
        raise ProtocolError(
            "a universal threshold needs trials that are set apart for it, and these have none",
            code="E_TRIALS_SET_APART",
            where=trials.protocol.label,
            remedy="use the composition negative_audio, or another threshold rule",
        )
    return np.array(flags, np.bool_)


def with_threshold(trials: TrialSet, maps: Maps) -> TrialSet:
    """The same trials with the thresholds that these maps give, if the rule needs any.

    Raises ProtocolError if the protocol normalises maps, so that each has the same maximum, or if
    none of the maps that are needed is there.
    """
    protocol = trials.protocol
    table = protocol.threshold
    if table.rule not in DATASET_RULES:
        return trials
    if maps is perfect_maps:
        # A threshold from other maps leaves the number of pixels free, as an absolute one does.
        own_half = table.rule == "first-of-batch" and table.batch == 1
        return _changed(trials, "half" if own_half else "absolute", table.value)
    if table.rule == "first-of-batch":
        return _with_first_thresholds(trials, maps)
    if protocol.map.normalisation != "none":
        raise ProtocolError(
            "maps that are normalised one by one have no universal threshold",
            code="E_THRESHOLD_NORMALISED",
            where=protocol.label,
            remedy='write normalisation = "none" under [map]',
        )
    wanted = set_apart(trials) & np.array([not trial.sounding for trial in trials.trials])
    maxima = [
        float(on_grid(heat, trials, row).max())
        for batch in _batches(trials, maps)
        for row, heat in zip(batch.rows, batch.each(), strict=True)
        if wanted[row]
    ]
    if not maxima:
        raise ProtocolError(
            "no map of a silent trial that is set apart is there, so no universal threshold",
            code="E_THRESHOLD_UNKNOWN",
            where=protocol.label,
            remedy="predict all trials of the protocol",
        )
    return _changed(trials, "absolute", universal_threshold(maxima, table.value))


def at_zero(trials: TrialSet) -> TrialSet:
    """The same trials with 0 for a threshold that depends on other maps."""
    found = trials.protocol.threshold.rule in DATASET_RULES
    return _changed(trials, "absolute", 0.0) if found else trials


def _changed(
    trials: TrialSet, rule: Rule, value: float, thresholds: NDArray[np.float32] | None = None
) -> TrialSet:
    protocol = trials.protocol
    table = protocol.threshold.model_copy(update={"rule": rule, "value": value})
    changed = protocol.model_copy(update={"threshold": table})
    return TrialSet(changed, trials.test_set, trials.trials, thresholds)


def _batches(trials: TrialSet, maps: Maps) -> Iterable[MapBatch]:
    if not callable(maps):
        return maps
    return (maps(rows, None) for rows in row_chunks(len(trials)))


def _with_first_thresholds(trials: TrialSet, maps: Maps) -> TrialSet:
    """Each trial with the half rule's threshold on the first map that is there of its batch."""
    protocol = trials.protocol
    batch_of = np.arange(len(trials)) // (protocol.threshold.batch or 1)
    first = np.full(batch_of[-1] + 1, len(trials))
    found = np.zeros(len(first), np.float32)
    for batch in _batches(trials, maps):
        for row, heat in zip(batch.rows.tolist(), batch.each(), strict=True):
            number = batch_of[row]
            if row < first[number]:
                grid = on_grid(heat, trials, row)
                normalised = normalise(grid, protocol.map.normalisation)
                first[number], found[number] = row, threshold_of(normalised, normalised, "half")
    return _changed(trials, "absolute", 0.0, found[batch_of])
