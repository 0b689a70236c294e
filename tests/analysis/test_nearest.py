"""Sounds by sounds, and images by images, from the embeddings of a retrieval run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refused

import ssl_bench
from ssl_bench.analysis.nearest import (
    Embedded,
    Kind,
    embeddings_of_file,
    embeddings_of_model,
    find_nearest,
    nearest_items,
)
from ssl_bench.figures.nearest import draw_nearest
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial_set import TrialSet


@pytest.fixture(scope="module")
def trials() -> TrialSet:
    protocol = ssl_bench.load_protocol("retrieval")
    few = protocol.test_set.model_copy(update={"options": {"count": 60, "seed": 0}})
    return open_trials(protocol.model_copy(update={"test_set": few}))


@pytest.fixture(scope="module", params=["sounds", "images"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def embedded(trials: TrialSet, kind: Kind) -> Embedded:
    localizer = ssl_bench.load_localizer("icl")
    assert isinstance(localizer, ssl_bench.Localizer)
    return embeddings_of_model(localizer, trials, kind)


class TestItems:
    def test_the_nearest_come_first_and_never_from_the_own_group(self) -> None:
        angles = np.radians([0, 10, 25, 90])
        unit = np.column_stack([np.cos(angles), np.sin(angles)])
        rows, cosines = nearest_items(unit, np.array([0, 0, 1, 2]), 2)
        assert rows.tolist() == [[2, 3], [2, 3], [1, 0], [2, 1]]
        assert cosines[0, 0] == pytest.approx(np.cos(angles[2]))

    def test_ties_are_in_the_order_of_rows(self) -> None:
        rows, _ = nearest_items(np.ones((4, 1)), np.arange(4), 3)
        assert rows.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]

    def test_what_is_not_there_is_no_neighbour(self) -> None:
        rows, _ = nearest_items(np.ones((2, 1)), np.array([0, 0]), 2)
        assert rows.tolist() == [[-1, -1], [-1, -1]]


def test_shares_are_those_of_plain_loops(trials: TrialSet, embedded: Embedded, kind: Kind) -> None:
    found = find_nearest(embedded, kind)
    vectors = embedded.vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    own = [trials[int(row)] for row in embedded.rows]
    parts = [set(each.category.split("+")) for each in own]
    hits, asked = 0, 0
    for row, trial in enumerate(own):
        others = [each for each in np.argsort(-similarity[row]) if own[each].group != trial.group]
        alike = [bool(parts[row] & parts[each]) for each in others]
        asked += any(alike)
        hits += any(alike[:5])
    assert found.hits[1].k == 5
    assert found.hits[1].share == pytest.approx(hits / asked)
    assert found.hits[0].share <= found.hits[1].share <= found.hits[2].share
    assert found.hits[0].chance < found.hits[0].share


def test_a_picture_is_drawn(
    trials: TrialSet, embedded: Embedded, kind: Kind, tmp_path: Path
) -> None:
    found = find_nearest(embedded, kind, queries=2, neighbours=2)
    draw_nearest(found, trials, tmp_path / "nearest.png")
    assert (tmp_path / "nearest.png").stat().st_size > 5000


def test_queries_can_be_named(trials: TrialSet, embedded: Embedded, kind: Kind) -> None:
    found = find_nearest(embedded, kind, ids=[str(trials.ids[3])])
    assert [query.trial_id for query in found.queries] == [trials.ids[3]]
    assert len(found.to_frame()) == 5
    with refused("E_TRIAL_UNKNOWN"):
        find_nearest(embedded, kind, ids=["nobody"])


def test_stored_features_rank_as_those_of_the_model(
    trials: TrialSet, embedded: Embedded, kind: Kind, tmp_path: Path
) -> None:
    own = [trials[int(row)] for row in embedded.rows]
    ids = [each.audio.samples[0] if kind == "sounds" else each.image.parts[0][0] for each in own]
    np.savez(tmp_path / "f.npz", ids=np.array(ids), features=embedded.vectors.astype(np.float32))
    stored = embeddings_of_file(tmp_path / "f.npz", trials, kind)
    first, second = (find_nearest(each, kind) for each in (embedded, stored))
    assert first.hits == second.hits
    np.savez(tmp_path / "g.npz", ids=np.array(ids[1:]), features=np.ones((len(ids) - 1, 2)))
    with refused():
        embeddings_of_file(tmp_path / "g.npz", trials, kind)
