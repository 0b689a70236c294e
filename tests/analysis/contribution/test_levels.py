"""The hearing's comparison within breakdowns of few levels."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_bench.analysis.contribution.compare import MAX_LEVELS, effects_by_level
from ssl_bench.analysis.contribution.run import Measured, contribution_of_files
from ssl_bench.figures.contribution import figure_rows
from ssl_bench.predictions import PredictionsMeta, save_predictions
from ssl_bench.protocols.protocol import TestSetTable, load_protocol
from ssl_bench.trials.compositions import open_trials

PROTOCOL = load_protocol("concat").model_copy(
    update={"test_set": TestSetTable(name="synth", split="standard", options={"count": 60})}
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    trials = open_trials(PROTOCOL)
    folder = tmp_path_factory.mktemp("maps")
    meta = PredictionsMeta(
        protocol=trials.protocol.label,
        protocol_digest=trials.protocol.digest,
        test_set=trials.test_set.name,
        test_set_digest=trials.test_set.digest,
        model="mine",
        complete=True,
    )
    paths = []
    for seed in (0, 1):
        paths.append(folder / f"{seed}.npz")
        noise = np.random.default_rng(seed).random((len(trials), 5, 5))
        save_predictions(paths[-1], trials.ids, noise, meta)
    return contribution_of_files(paths[0], {"mute": paths[1]}, PROTOCOL)


def test_a_level_has_what_its_own_trials_say(measured: Measured) -> None:
    found = measured.contribution
    best = next(each for each in found.without if each.name == found.hearing.best_without)
    assert found.by_level
    tables = dict(iter(measured.scores.groupby("maps")))
    for each in found.by_level:
        assert each.difference == best.breakdown[each.grouping][each.level][0]
        assert each.difference.value == pytest.approx(each.with_sound.value - each.without)
        own, other = (
            table[(table[each.grouping].astype(str) == each.level) & table["sounding"]]
            for table in (tables["with the sound"], tables[best.name])
        )
        assert each.with_sound.value == pytest.approx((own["cIoU"] >= 0.5).mean())
        assert each.without == pytest.approx((other["cIoU"] >= 0.5).mean())


def test_categories_are_too_many_and_no_grouping_comes_twice(measured: Measured) -> None:
    found = measured.contribution
    levels: dict[str, list[object]] = {}
    for each in found.by_level:
        levels.setdefault(each.grouping, []).append((each.level, each.with_sound, each.difference))
    assert "category" not in levels
    assert all(2 <= len(held) <= MAX_LEVELS for held in levels.values())
    kept = list(levels.values())
    assert all(held not in kept[:place] for place, held in enumerate(kept))


def test_nothing_to_compare_with_gives_no_levels(measured: Measured) -> None:
    found = measured.contribution
    nobody = found.hearing.model_copy(update={"best_without": None})
    assert effects_by_level(nobody, found.without, measured.scored.result.breakdown) == ()


def test_the_figure_shows_levels_below_the_whole(measured: Measured) -> None:
    rows = figure_rows(measured.contribution)
    kinds = [row.is_level for row in rows]
    assert kinds == sorted(kinds)
    assert sum(kinds) == len(measured.contribution.by_level)
