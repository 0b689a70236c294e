"""Silent areas, and DSOL's score of a scene, on cases small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.dsol import class_cious, map_ciou, silent_clusters, silent_shares
from ssl_bench.measures.silent_area import GRID_COLUMNS, quiet_share, unpredicted_share
from ssl_bench.protocol import ThresholdTable

MASKS = arrays(np.bool_, (3, 3))


def test_the_limit_itself_is_dark() -> None:
    assert quiet_share(np.array([[0.0, 0.2, 0.21, 1.0]])) == 0.5
    assert quiet_share(np.array([[-5.0, 9.0]]), level=10) == 1


@given(MASKS, MASKS)
def test_predicted_and_unpredicted_shares_of_the_tiles_add_up(
    predicted: NDArray[np.bool_], tiles: NDArray[np.bool_]
) -> None:
    both = unpredicted_share(predicted, tiles) + unpredicted_share(~predicted, tiles)
    assert both == pytest.approx(1 if tiles.any() else 2)


def test_the_area_is_read_before_normalising_and_the_tiles_after_thresholding() -> None:
    raw = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    tiles = np.array([[False, False], [True, True]])
    table = ThresholdTable(rule="fraction", value=0.9, comparison=">")
    grid = MapOnGrid(raw, np.zeros((2, 2), np.float32), table, "minmax", tiles)
    assert GRID_COLUMNS["quiet"](grid) == 0.5
    assert GRID_COLUMNS["quiet_tiles"](grid) == 0.5
    whole = MapOnGrid(raw, np.zeros((2, 2), np.float32), table, "minmax")
    assert GRID_COLUMNS["quiet_tiles"](whole) == 1


class TestDsol:
    def test_clusters_of_a_class_are_summed_before_the_threshold(self) -> None:
        maps = np.array([[[0.6, 0.0]], [[0.5, 0.4]]], np.float32)
        truth = np.array([[1, 0], [1, 0]], np.float32)
        assert class_cious(maps, np.array([[1, 1]]), {0: truth}, 0.5) == [1.0]
        assert class_cious(maps[1:], np.array([[1]]), {0: truth}, 0.5) == [0.5]

    def test_a_negative_maximum_predicts_nothing(self) -> None:
        heat = np.array([[-1.0, -2.0]], np.float32)
        assert map_ciou(heat, np.ones((2, 2), np.float32), 0.5) == 0

    def test_further_clusters_of_a_sounding_class_count_as_silent(self) -> None:
        table = np.array([[0, 1, 0, 1], [1, 0, 1, 0]])
        assert silent_clusters(table, [0], 4) == [0, 2, 3]
        assert silent_clusters(table, [0], 3) == [0, 2]
        assert silent_clusters(table, [0, 1], 4) == [2, 3]

    def test_shares_come_in_the_order_of_the_clusters(self) -> None:
        maps = np.stack([np.full((2, 2), level, np.float32) for level in (0.1, 0.3, 0.2)])
        assert silent_shares(maps, [2, 1, 0], size=4) == [1.0, 0.0, 1.0]
