"""ACL's half rule: each map's own threshold in batches of one, the first map's in larger ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from standins import predictions_of, sample, trials_of
from vectors import Vectors

from ssl_bench.measures.localization import area_under_success, success
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.scoring.run import Scored, score_file
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.trials.trial_set import TrialSet

FRAMES = {"vggss": (1.0, 1.0), "flickr": (256.0, 256.0)}


@pytest.fixture(scope="module")
def stored(golden: Path) -> dict[str, NDArray[Any]]:
    return Vectors(golden).arrays("core224")


@pytest.fixture(scope="module", params=["vggss", "flickr"])
def named(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def trials(stored: dict[str, NDArray[Any]], named: str) -> TrialSet:
    corners = np.asarray(stored[f"{named}_boxes"], np.float64)
    samples = [
        sample(f"{number:03d}", Boxes(corners[start:stop], FRAMES[named], 3))
        for number, (start, stop) in enumerate(pairwise(stored[f"{named}_box_offsets"]))
    ]
    convention: TruthConvention = "consensus" if named == "flickr" else "union"
    return trials_of(samples, size=224, convention=convention)


@pytest.fixture(scope="module")
def predictions(
    trials: TrialSet, stored: dict[str, NDArray[Any]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    maps = stored["maps"].astype(np.float32) / np.float32(255)
    return predictions_of(trials, maps, tmp_path_factory.mktemp("acl") / "maps.npz")


def scored(path: Path, trials: TrialSet, dialect: str) -> Scored:
    return score_file(path, trials, conventions=trials.protocol.under(load_dialect(dialect)))


def test_batches_of_one_as_the_scripts_have_them(
    predictions: Path, trials: TrialSet, stored: dict[str, NDArray[Any]], named: str
) -> None:
    found = scored(predictions, trials, "acl-half").scores["cIoU"]
    np.testing.assert_allclose(found, stored[f"{named}_acl_half_ciou"], rtol=0, atol=1e-6)


def test_a_whole_batch_takes_the_threshold_of_its_first_map(
    predictions: Path, trials: TrialSet, stored: dict[str, NDArray[Any]], named: str
) -> None:
    expected = stored[f"{named}_acl_half_onebatch_ciou"]
    result = scored(predictions, trials, f"acl-half:{len(trials)}")
    np.testing.assert_allclose(result.scores["cIoU"], expected, rtol=0, atol=1e-6)
    rate, area = result.result["cIoU@0.5"].value, result.result["AUC"].value
    assert rate == pytest.approx(success(expected, 0.5).mean())
    assert area == pytest.approx(area_under_success(expected).mean())
    assert result.result.protocol.dialect == f"acl-half:{len(trials)}"


def test_the_canonical_rule_looks_at_each_map_alone(
    predictions: Path, trials: TrialSet, stored: dict[str, NDArray[Any]], named: str
) -> None:
    """These maps need no interpolation and min-max keeps their order, so only the reuse differs."""
    right = score_file(predictions, trials).scores["cIoU"].to_numpy()
    maps = stored["maps"].reshape(len(trials), -1)
    varied = maps.min(axis=1) < maps.max(axis=1)
    own = stored[f"{named}_acl_half_ciou"]
    np.testing.assert_allclose(right[varied], own[varied], rtol=0, atol=1e-6)


def test_the_ceiling_is_that_of_half_of_the_pixels_where_batches_are_of_one(
    tmp_path: Path,
) -> None:
    """A quarter of each picture sounds: half of the pixels hold it at a cIoU of a half."""
    corner = Boxes(np.array([[0, 0, 0.5, 0.5]]))
    trials = trials_of([sample("a", corner), sample("b", corner)], measures=("mean-cIoU",))
    path = predictions_of(trials, np.zeros((2, 8, 8), np.float32), tmp_path / "maps.npz")

    def ceiling(dialect: str) -> float | None:
        conventions = trials.protocol.under(load_dialect(dialect))
        controls = conventions.controls.model_copy(update={"ceiling": True})
        asked = conventions.model_copy(update={"controls": controls})
        best = score_file(path, trials, conventions=asked).result.ceiling
        assert best is not None
        return next(each.value for each in best.measures if each.measure == "mean-cIoU")

    assert ceiling("acl-half") == ceiling("ezvsl") == 0.5
    assert ceiling("acl-half:2") == 1


class TestBatches:
    """Trials in the protocol's order, whatever the order in the file."""

    samples = tuple(sample(name) for name in "abcde")
    # Half of the pixels are 0, the others 1, 10, 100, 1000 and 10000.
    maps = np.stack([np.repeat([[0.0], [10.0**n]], 112, axis=0).repeat(224, 1) for n in range(5)])

    def thresholds(self, folder: Path, batch: int, order: list[int]) -> list[float]:
        trials = trials_of(self.samples)
        ids = [trials.ids[row] for row in order]
        path = predictions_of(trials, self.maps[order], folder / "maps.npz", ids)
        found = scored(path, trials, f"acl-half:{batch}").scores
        return [float(found["threshold"][row]) for row in sorted(order)]

    def test_the_last_batch_may_be_smaller(self, tmp_path: Path) -> None:
        found = self.thresholds(tmp_path, 2, [0, 1, 2, 3, 4])
        assert found == [1, 1, 100, 100, 10000]

    def test_the_order_in_the_file_does_not_matter(self, tmp_path: Path) -> None:
        assert self.thresholds(tmp_path, 3, [4, 2, 0, 3, 1]) == [1, 1, 1, 1000, 1000]

    def test_a_batch_whose_first_map_is_missing_begins_with_the_next(self, tmp_path: Path) -> None:
        assert self.thresholds(tmp_path, 3, [1, 2, 3, 4]) == [10, 10, 1000, 1000]

    def test_the_canonical_rule_predicts_half_of_each(self, tmp_path: Path) -> None:
        """Of a batch whose first map has the highest threshold, the others predict nothing."""
        trials = trials_of(self.samples)
        path = predictions_of(trials, self.maps[::-1], tmp_path / "maps.npz")
        right = score_file(path, trials).scores["cIoU"]
        wrong = scored(path, trials, "acl-half:5").scores["cIoU"]
        # The left half sounds, the lower half is predicted.
        assert right.tolist() == pytest.approx([1 / 3] * 5)
        assert wrong.tolist() == pytest.approx([1 / 3, 0, 0, 0, 0])
