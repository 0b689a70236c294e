"""DSOL's scenes, duets and solos, scored from files of maps under its dialect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from standins import MemoryTestSet, predictions_of, protocol, sample, trials_of
from vectors import Vectors

from ssl_bench.measures.localization import AUC_THRESHOLDS, success
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.scoring.run import Scored, score_file
from ssl_bench.testsets.base import Sample
from ssl_bench.testsets.music import boxes_of_sizes
from ssl_bench.trials.recipes import WHOLE, AudioRecipe, ImageRecipe, Target
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

SCENE = 1e-4
# Clusters that the script for synthetic scenes looks at; that for duets looks at all.
VISITED = {"syn": 11, "duet": None}
LONG = {"syn": "synthetic", "duet": "duet"}
DIALECT = {"syn": "dsol", "duet": "dsol:duet"}

Stored = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def stored(golden: Path) -> Stored:
    return Vectors(golden).arrays("dsol")


@pytest.fixture(scope="module")
def facts(golden: Path) -> dict[str, Any]:
    return Vectors(golden).facts("dsol")


@dataclass(frozen=True)
class Asked:
    """One trial with its map, and the sample that it is about where something sounds."""

    trial: Trial
    heat: NDArray[np.float32]
    sample: Sample | None = None


def trial(scene: str, name: str, sounding: bool) -> Trial:
    return Trial(
        id=f"{scene}#{name}",
        image=ImageRecipe(((f"{scene}-picture", WHOLE),)),
        audio=AudioRecipe.of(f"{scene}-sound"),
        targets=(Target(f"{scene}#{name}", WHOLE),) if sounding else (),
        group=scene,
        category=name,
        role="sounding" if sounding else "silent",
        asked=name,
    )


def asked_of_scene(
    number: int, stored: Stored, facts: dict[str, Any], kind: str
) -> Iterator[Asked]:
    """A trial for each class that sounds, and for each cluster that counts as silent."""
    start, stop = stored[f"{kind}_box_offsets"][number : number + 2]
    categories = stored[f"{kind}_box_category"][start:stop]
    corners = stored[f"{kind}_boxes_xywh"][start:stop]
    maps, assignment = stored[f"{kind}_maps"][number], stored[f"{kind}_class_to_cluster"]
    names = sorted(facts["class_names"])
    scene, first = f"{number:03d}", set()
    for category in dict.fromkeys(categories.tolist()):
        name = facts["category_to_class"][str(category)]
        clusters = assignment[names.index(name)] == 1
        about = trial(scene, name, sounding=True)
        # A method gives one map for each class: that of its clusters together.
        heat = maps[clusters].sum(axis=0)
        yield Asked(about, heat, sample(about.id, boxes_of_sizes(corners[categories == category])))
        first.add(int(np.argmax(clusters)))
    visited = len(maps) if VISITED[kind] is None else VISITED[kind]
    for cluster in range(visited):
        if cluster not in first:
            yield Asked(trial(scene, f"cluster {cluster:02d}", sounding=False), maps[cluster])


def scored_under(name: str, asked: list[Asked], folder: Path) -> Scored:
    samples = [each.sample for each in asked if each.sample is not None]
    trials = TrialSet(
        protocol("multi_source", size=224), MemoryTestSet(samples), [each.trial for each in asked]
    )
    path = predictions_of(trials, np.stack([each.heat for each in asked]), folder / "maps.npz")
    conventions = trials.protocol.under(load_dialect(name))
    return score_file(path, trials, conventions=conventions)


def value(scored: Scored, measure: str) -> float:
    found = scored.result[measure].value
    assert found is not None
    return found


def by_scene(table: pd.DataFrame, column: str) -> list[list[float]]:
    """A column's values, scene by scene, in the order of the trials."""
    return [part[column].tolist() for _, part in table.groupby("group", sort=True)]


def rates_agree(scored: Scored, total: dict[str, Any], near: dict[str, Any]) -> None:
    """The figures of the success curve, but for scenes at a threshold."""
    count = scored.scores["group"].nunique()
    anywhere = near["any_auc_threshold"] / count + 1e-12
    assert value(scored, "scene-AUC") == pytest.approx(total["auc"], abs=0.05 * anywhere)
    at_half = near["half"] / count + 1e-12
    assert value(scored, "scene-cIoU@0.5") == pytest.approx(total["ciou_at_0_5"], abs=at_half)


@pytest.mark.parametrize("kind", ["syn", "duet"])
def test_scenes(stored: Stored, facts: dict[str, Any], kind: str, tmp_path: Path) -> None:
    count = len(stored[f"{kind}_maps"])
    asked = [each for row in range(count) for each in asked_of_scene(row, stored, facts, kind)]
    scored = scored_under(DIALECT[kind], asked, tmp_path)
    table = scored.scores
    heard, silent = table[table["sounding"]], table[~table["sounding"]]
    expected = facts["per_scene"][kind]
    for part, column, key in (
        (heard, "cIoU", "class_ciou"),
        (silent, "quiet", "silent_fraction"),
    ):
        for found, original in zip(by_scene(part, column), expected[key], strict=True):
            np.testing.assert_allclose(found, original, rtol=0, atol=SCENE)
    of_scene = heard.groupby("group", sort=True).first()
    ciou, area = (of_scene[name].to_numpy(float) for name in ("scene_cIoU", "scene_quiet"))
    np.testing.assert_allclose(ciou, stored[f"{kind}_ciou"], rtol=0, atol=SCENE)
    np.testing.assert_allclose(area, stored[f"{kind}_nsa"], rtol=0, atol=SCENE)

    total, near = facts["aggregate"][LONG[kind]], facts["near"][kind]
    rates_agree(scored, total, near)
    slack = near["any_auc_threshold"] / count + 1e-12
    curve = [success(ciou, threshold).mean() for threshold in AUC_THRESHOLDS]
    np.testing.assert_allclose(curve, total["success_ratio"], rtol=0, atol=slack)
    assert value(scored, "scene-cIoU@0.3") == pytest.approx(total["ciou_at_0_3"], abs=slack)
    assert value(scored, "scene-NSA") == pytest.approx(total["nsa"], abs=SCENE)


def test_solos(stored: Stored, facts: dict[str, Any], tmp_path: Path) -> None:
    """One map and all boxes: a scene of one."""
    samples = [
        sample(f"{number:03d}", boxes_of_sizes(stored["solo_boxes_xywh"][start:stop]))
        for number, (start, stop) in enumerate(pairwise(stored["solo_box_offsets"]))
    ]
    trials = trials_of(samples, size=224)
    path = predictions_of(trials, stored["solo_maps"], tmp_path / "maps.npz")
    conventions = trials.protocol.under(load_dialect("dsol:solo"))
    scored = score_file(path, trials, conventions=conventions)
    np.testing.assert_allclose(scored.scores["cIoU"], stored["solo_ciou"], rtol=0, atol=SCENE)
    rates_agree(scored, facts["aggregate"]["solo"], facts["near"]["solo"])
    # Nothing is silent, so that there is no area to speak of.
    assert scored.result["scene-NSA"].value is None


def test_a_negative_maximum_predicts_nothing(tmp_path: Path) -> None:
    trials = trials_of([sample("one")])
    path = predictions_of(trials, -np.ones((1, 2, 2), np.float32), tmp_path / "maps.npz")
    conventions = trials.protocol.under(load_dialect("dsol"))
    assert score_file(path, trials, conventions=conventions).scores["cIoU"].tolist() == [0]
