"""SSLalignment on VGG-SS, Flickr and IS3, with its groups of samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade_scores import iauc, iiou
from numpy.typing import NDArray
from vectors import (
    CIOU,
    LEVEL,
    Vectors,
    agrees,
    column,
    fused,
    mean_of,
    near_thresholds,
    rates_agree,
    settled,
    under,
)

from ssl_bench.measures.batch import MapScores
from ssl_bench.measures.interaction import lowest_of_image
from ssl_bench.protocols.conventions import Rule
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.truth import render

RULES: tuple[Rule, Rule] = ("half", "adaptive")
SUFFIXES = {"half": "", "adaptive": "_adap"}
PATHS = [("avl", "sslalign"), ("lvs", "sslalign-lvs")]
# Samples that are so close to a threshold may fall on its other side.
NEAR = 1e-3
# The evaluator's weight of the audio-visual map.
ALPHA = 0.4

Heats = list[NDArray[np.float32]]
Stored = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def vectors(golden: Path) -> Vectors:
    return Vectors(golden)


def channels_of(
    name: str, test_set: str, maps: Heats, priors: Heats, truths: NDArray[np.float32]
) -> dict[str, list[MapScores]]:
    """Scores with the audio-visual map alone, and mixed with the prior."""
    dialect = load_dialect(name)
    mixed = fused(maps, priors, dialect, test_set, ALPHA)
    return {
        "av": under(dialect, test_set, maps, truths, RULES),
        # The mix is already on the grid; it is min-maxed once more, without turning it round.
        "av_obj": under(dialect, test_set, mixed, truths, RULES, normalisation="minmax"),
    }


def all_agree(
    scores: list[MapScores],
    stored: Stored,
    prefix: str,
    number: int,
    expected: dict[str, Any],
    group: Sequence[Any],
) -> None:
    """Every sample and every figure of one channel, under both rules."""
    stable = stored[f"{prefix}_stable"][number]
    for rule in RULES:
        suffix = SUFFIXES[rule]
        original = stored[f"{prefix}_ciou{suffix}"][number]
        agrees(scores, rule, original, stored[f"{prefix}_npred{suffix}"][number], stable)
        np.testing.assert_allclose(
            column(scores, rule, "threshold")[stable],
            stored[f"{prefix}_thr{suffix}"][number][stable],
            rtol=1e-6,
            atol=LEVEL,
        )
        ciou = settled(column(scores, rule, "cIoU"), original, stable)
        near = expected[f"near{suffix}"]
        rates_agree(ciou, expected[f"ciou{suffix}"], expected[f"auc{suffix}"], near)
        if rule == "half":
            assert ciou.mean() == pytest.approx(mean_of(expected), abs=CIOU, nan_ok=True)
        # A group moves only with its lowest sample.
        lowest = lowest_of_image(original, group)[np.unique(group, return_index=True)[1]]
        at_half = near_thresholds(lowest, NEAR, np.array([0.5])) / len(lowest)
        anywhere = 0.05 * near_thresholds(lowest, NEAR) / len(lowest)
        for found, key, step in (
            (iiou(ciou, group, 0.5), "iiou", at_half),
            (iauc(ciou, group), "iauc", anywhere),
        ):
            printed = expected.get(f"{key}{suffix}")
            if number > 0:
                assert printed is None, "the evaluator groups the audio-visual map alone"
            else:
                value = float("nan") if printed is None else printed
                assert found == pytest.approx(value, abs=step + 1e-12, nan_ok=True), key


@pytest.mark.parametrize("test_set", ["vggss", "flickr"])
@pytest.mark.parametrize(("path", "name"), PATHS)
def test_vggss_and_flickr(vectors: Vectors, test_set: str, path: str, name: str) -> None:
    """Groups are what is left of a name before its last underscore: on Flickr, nothing."""
    stored = vectors.arrays("sslalign_vggss_flickr")
    facts = vectors.facts("sslalign_vggss_flickr")
    truths = vectors.truths(test_set, vectors.inputs)
    channels = channels_of(name, test_set, vectors.maps, vectors.priors, truths)
    samples = vectors.facts("inputs")["samples"]
    group = [sample[f"{test_set}_id"].rpartition("_")[0] for sample in samples]
    of_path = facts["aggregate"][f"{test_set}_{path}"]
    assert len(set(group)) == of_path["n_groups"]
    for number, channel in enumerate(facts["channels"]):
        all_agree(
            channels[channel],
            stored,
            f"{test_set}_{path}",
            number,
            of_path[channel],
            group,
        )


class TestOnIs3:
    @pytest.fixture
    def stored(self, vectors: Vectors) -> Stored:
        return vectors.arrays("sslalign_is3")

    @pytest.fixture
    def facts(self, vectors: Vectors) -> dict[str, Any]:
        return vectors.facts("sslalign_is3")

    @pytest.fixture
    def truths(self, stored: Stored) -> NDArray[np.float32]:
        corners = stored["boxes"].astype(np.float64)
        return np.stack(
            [render(Boxes(box[None], (224.0, 224.0)), "union", 224, 224) for box in corners]
        )

    def test_truth(self, stored: Stored, truths: NDArray[np.float32]) -> None:
        packed = np.packbits(truths.reshape(len(truths), -1) > 0, axis=1)
        np.testing.assert_array_equal(packed, stored["gt_packed"])

    def test_names_say_which_samples_share_a_picture(
        self, stored: Stored, facts: dict[str, Any], tmp_path: Path
    ) -> None:
        names = [sample["name"] for sample in facts["samples"]]
        entries = [
            {"image": f"{name}.jpg", "audio": f"{name}.wav", "gt_box": box}
            for name, box in zip(names, stored["boxes"].tolist(), strict=True)
        ]
        file = tmp_path / "is3" / "synthetic3240_bbox.json"
        file.parent.mkdir()
        file.write_text(json.dumps(entries))
        samples = open_test_set("is3", data=tmp_path).samples
        read = {sample.id: str(sample.attributes["image"]) for sample in samples}
        pictures = [read[name] for name in names]
        pairs = set(zip(pictures, stored["group"].tolist(), strict=True))
        assert len(pairs) == len(set(pictures)) == facts["n_groups"]
        assert len({group for _, group in pairs}) == facts["n_groups"]

    @pytest.mark.parametrize(("path", "name"), PATHS)
    def test_every_sample_and_every_figure(
        self,
        stored: Stored,
        facts: dict[str, Any],
        truths: NDArray[np.float32],
        path: str,
        name: str,
    ) -> None:
        places = zip(stored["res"], stored["row"], strict=True)
        maps = [stored[f"maps_{size}"][row] for size, row in places]
        channels = channels_of(name, "is3", maps, list(stored["obj_maps"]), truths)
        for number, channel in enumerate(facts["channels"]):
            all_agree(
                channels[channel],
                stored,
                path,
                number,
                facts["aggregate"][path][channel],
                stored["group"].tolist(),
            )
