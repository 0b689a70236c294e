"""Silent areas, on cases small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ssl_bench.measures.definition import MapOnGrid
from ssl_bench.measures.silent_area import (
    COLUMNS,
    quiet_share,
    unpredicted_share,
)
from ssl_bench.protocols.conventions import ThresholdTable

MASKS = arrays(np.bool_, (3, 3))


def test_the_limit_itself_is_dark() -> None:
    assert quiet_share(np.array([[0.0, 0.2, 0.21, 1.0]])) == 0.5
    assert quiet_share(np.array([[-5.0, 9.0]]), level=10) == 1


@given(MASKS, MASKS)
def test_predicted_and_unpredicted_shares_of_the_tiles_add_up(
    predicted: NDArray[np.bool_], tiles: NDArray[np.bool_]
) -> None:
    both = unpredicted_share(predicted, tiles) + unpredicted_share(~predicted, tiles)
    assert both == pytest.approx(1 if tiles.any() else np.nan, nan_ok=True)


def test_the_area_is_read_before_normalising_and_the_tiles_after_thresholding() -> None:
    raw = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    tiles = np.array([[False, False], [True, True]])
    table = ThresholdTable(rule="fraction", value=0.9, comparison=">")
    grid = MapOnGrid(raw, np.zeros((2, 2), np.float32), table, "minmax", silent_tiles=tiles)
    assert COLUMNS["quiet"].compute(grid) == 0.5
    assert COLUMNS["quiet_tiles"].compute(grid) == 0.5


def test_where_there_is_no_silent_tile_nothing_is_known_of_any_map_a_perfect_one_too() -> None:
    raw = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    column = COLUMNS["quiet_tiles"]
    for tiles in (None, np.zeros((2, 2), np.bool_)):
        grid = MapOnGrid(raw, np.zeros((2, 2), np.float32), silent_tiles=tiles)
        assert np.isnan(column.compute(grid))
        assert callable(column.perfect)
        assert np.isnan(column.perfect(grid))
    covered = MapOnGrid(raw, raw, silent_tiles=raw > 0.15)
    assert column.perfect(covered) == 1


def test_a_scene_is_as_dark_as_its_silent_maps_on_average() -> None:
    scene = COLUMNS["scene_quiet"].compute
    picture = np.array(["a", "a", "a", "b", "b", "c"], dtype=object)
    sounding = np.array([True, False, False, False, True, True])
    found = scene(np.array([0.9, 0.5, 1.0, 0.2, 0.9, 0.9]), picture, sounding)
    assert found[:5].tolist() == [0.75, 0.75, 0.75, 0.2, 0.2]
    assert np.isnan(found[5])
