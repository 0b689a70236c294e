"""Trials of the embedded world as arrays, and what scoring says of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ssl_bench
from ssl_bench.protocols.protocol import ControlsTable, Protocol, load_dialect, load_protocol
from ssl_bench.scoring.run import Scored, ScoringOptions
from ssl_bench.scoring.scores import _place, _silent_tiles
from ssl_bench.scoring.thresholds import set_apart
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet

COUNT = 24
QUICK = ScoringOptions(broken_down=1, use_cache=False)
NO_CONTROLS = ControlsTable(floors=(), ceiling=False, vision_only=False, priors=())


@dataclass(frozen=True, eq=False)
class Arrays:
    """Trials in the order of their ids; `facts` are arguments of ``Metric.update``."""

    trials: TrialSet
    maps: NDArray[np.float32]
    truths: NDArray[np.float32]
    facts: dict[str, Any]
    rows: NDArray[np.intp]

    def score(self, *measures: str, dialect: str | None = None) -> Scored:
        """The same maps by scoring."""
        protocol = self.trials.protocol
        if dialect is not None:
            protocol = protocol.under(load_dialect(dialect))
        conventions = protocol.model_copy(update={"controls": NO_CONTROLS})
        heats = dict(zip([self.trials.ids[row] for row in self.rows], self.maps, strict=True))
        # The first is broken down: one that takes no time.
        asked = tuple(dict.fromkeys(("mean-cIoU", *measures)))
        return ssl_bench.score(heats, self.trials, asked, conventions=conventions, options=QUICK)

    def but(self, chosen: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Some of the samples."""
        facts = {
            name: None if values is None else np.asarray(values)[chosen]
            for name, values in self.facts.items()
        }
        return self.maps[chosen], self.truths[chosen], facts

    @property
    def scored_rows(self) -> NDArray[np.bool_]:
        """Which samples are not set apart for a threshold."""
        return ~set_apart(self.trials)[self.rows]


def few_of(name: str, count: int = COUNT) -> Protocol:
    """A protocol with few samples."""
    protocol = load_protocol(name)
    table = protocol.test_set.model_copy(
        update={"options": {**protocol.test_set.options, "count": count}}
    )
    return protocol.model_copy(update={"test_set": table, "controls": NO_CONTROLS})


@cache
def arrays_of(name: str, count: int = COUNT, side: int = 9) -> Arrays:
    """Trials of a protocol, and maps of noise: two of each three move with the sound."""
    trials = open_trials(few_of(name, count))
    rows = np.argsort(np.array(trials.ids))
    listed = [trials.trials[row] for row in rows.tolist()]
    generator = np.random.default_rng(0)
    maps = generator.random((len(rows), side, side + 2)).astype(np.float32)
    # Some are flat, and some have ties.
    maps[::7] = 0.5
    maps[1::7] = maps[1::7].round(1)
    size = trials.protocol.map.size
    places = [_place(trial) for trial in listed]
    tiles = [_silent_tiles(trial, size) for trial in listed]
    attributes = [trial.attributes for trial in listed]

    def attribute(key: str) -> list[Any] | None:
        return (
            [each[key] for each in attributes] if all(key in each for each in attributes) else None
        )

    facts: dict[str, Any] = {
        "sounding": np.array([trial.sounding for trial in listed]),
        "images": [trial.image.key for trial in listed],
        "categories": [trial.category for trial in listed],
        "roles": [trial.role for trial in listed],
        "mixtures": attribute("mixture"),
        "types": attribute("type"),
        "same_category": attribute("same_category"),
        "groups": [trial.group for trial in listed],
    }
    if all(place is not None for place in places):
        spans = [place.on_grid(size, size) for place in places if place is not None]
        facts["places"] = [(y.start, x.start, y.stop, x.stop) for y, x in spans]
    if all(each is not None for each in tiles):
        facts["silent_tiles"] = np.stack([each for each in tiles if each is not None])
    return Arrays(trials, maps, trials.truths(rows), facts, rows)
