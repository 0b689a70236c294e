"""Pictures with maps as one figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn import Pixels, count_of, is_cut_off, pixels_of
from refusals import refused

from ssl_bench.figures.sheet import MAX_MAPS, MAX_ROWS, MapPanel, SheetRow, draw_sheet

SIDE = 56
BLACK, GREY = (0, 0, 0), (158, 158, 158)
HIT, MISS = (0, 105, 92), (179, 38, 30)
RED = (200, 30, 30)


def disc(x: float, y: float, radius: float) -> Pixels:
    rows, columns = np.mgrid[0 : 1 : SIDE * 1j, 0 : 1 : SIDE * 1j]
    return np.hypot(columns - x, rows - y) < radius


@pytest.fixture
def panel() -> MapPanel:
    predicted = disc(0.6, 0.5, 0.2)
    return MapPanel(predicted.astype(np.float32), predicted, "cIoU 0.250", hit=False)


@pytest.fixture
def row(panel: MapPanel) -> SheetRow:
    image = np.full((90, 120, 3), RED, np.uint8)
    return SheetRow("t0\nviolin", image, disc(0.3, 0.5, 0.2).astype(np.float32), (panel,))


def drawn(*rows: SheetRow, heads: tuple[str, ...] = ("a model",), title: str = "a sheet") -> Pixels:
    return pixels_of(draw_sheet(rows, heads, title))


@pytest.mark.slow
def test_each_row_adds_the_same_height(row: SheetRow) -> None:
    heights = [drawn(*[row] * count).shape[0] for count in (1, 2, 3)]
    assert abs((heights[1] - heights[0]) - (heights[2] - heights[1])) <= 1
    assert heights[1] > heights[0]


@pytest.mark.slow
def test_many_rows_stand_in_two_blocks(row: SheetRow) -> None:
    few, many = (drawn(*[row] * count).shape for count in (6, 10))
    assert many[0] < few[0]
    assert many[1] < 2.2 * few[1]


def test_each_map_adds_a_column(row: SheetRow, panel: MapPanel) -> None:
    widths = [
        drawn(replace(row, maps=(panel,) * count), heads=("a",) * count).shape[1]
        for count in (2, 3, 4)
    ]
    assert abs((widths[1] - widths[0]) - (widths[2] - widths[1])) <= 1
    assert widths[1] > widths[0]


def test_the_image_keeps_its_colours_and_its_proportions(row: SheetRow) -> None:
    picture = drawn(replace(row, truth=None))
    red = np.abs(picture.astype(int) - RED).max(axis=2) <= 2
    height, width = np.ptp(np.argwhere(red), axis=0) + 1
    assert width / height == pytest.approx(120 / 90, abs=0.03)


def test_a_row_without_its_image_is_grey_and_no_image_makes_no_column(row: SheetRow) -> None:
    unseen = replace(row, image=None)
    assert count_of(drawn(row, unseen), GREY) > 10_000 > count_of(drawn(row), GREY)
    widths = [drawn(each, each).shape[1] for each in (replace(row, image=row.image), unseen)]
    assert widths[1] < widths[0]


def test_the_map_runs_from_its_lowest_to_its_highest_colour(row: SheetRow, panel: MapPanel) -> None:
    lowest, highest = (0, 34, 78), (254, 232, 56)
    low, high = (
        drawn(replace(row, image=None, truth=None, maps=(MapPanel(np.full_like(panel.heat, at)),)))
        for at in (0, 1)
    )
    assert count_of(low, lowest) > 10_000 > count_of(low, highest)
    assert count_of(high, highest) > 10_000 > count_of(high, lowest)


def test_truth_and_predicted_pixels_are_outlined_on_every_map(
    row: SheetRow, panel: MapPanel
) -> None:
    bare = MapPanel(panel.heat)
    nothing = np.zeros_like(panel.heat)
    heads = ("a", "b")
    plain = drawn(replace(row, truth=nothing, maps=(bare, bare)), heads=heads)
    below, above = plain.shape[0] * 0.75, plain.shape[0] * 0.3
    for change, panels in (
        ({"maps": (replace(bare, predicted=panel.predicted), bare)}, {2}),
        ({"maps": (bare, replace(bare, predicted=panel.predicted))}, {3}),
        ({"truth": row.truth}, {1, 2, 3}),
    ):
        whole = drawn(
            replace(row, **{"truth": nothing, "maps": (bare, bare), **change}), heads=heads
        )
        changed = (whole != plain).any(axis=2)[int(above) : int(below)]
        places = np.flatnonzero(changed.any(axis=0)) / plain.shape[1] * 4
        assert set(places.astype(int).tolist()) == panels


@pytest.mark.filterwarnings("error")
def test_empty_and_full_regions_are_drawn(row: SheetRow, panel: MapPanel) -> None:
    orange = (255, 127, 14)
    empty, full = (
        drawn(replace(row, maps=(replace(panel, predicted=np.full((SIDE, SIDE), whole)),)))
        for whole in (False, True)
    )
    assert count_of(full, orange) > count_of(empty, orange) + 200


def test_hit_miss_and_neither_look_different(row: SheetRow, panel: MapPanel) -> None:
    def ink(hit: bool | None) -> tuple[bool, bool]:
        picture = drawn(replace(row, maps=(replace(panel, hit=hit),)))
        return count_of(picture, HIT) > 20, count_of(picture, MISS) > 20

    assert [ink(True), ink(False), ink(None)] == [(True, False), (False, True), (False, False)]


def test_a_model_without_a_map_of_a_trial_leaves_its_place_empty(
    row: SheetRow, panel: MapPanel
) -> None:
    heads = ("a", "b")
    both, one = (drawn(replace(row, maps=(panel, other)), heads=heads) for other in (panel, None))
    assert one.shape == both.shape
    right = one[:, -one.shape[1] // 5 :]
    assert (right == 255).mean() > 0.9


def test_the_legend_names_what_is_drawn(row: SheetRow, panel: MapPanel) -> None:
    def words(row: SheetRow) -> set[str]:
        figure = draw_sheet([row], ["map"])
        return {text.get_text() for text in figure.texts}

    everything = words(replace(row, maps=(replace(panel, peak=(0.5, 0.5)),)))
    legend = {"predicted pixels", "map: low to high", "highest", "hit: cIoU of 0.5 or more"}
    assert legend <= everything
    assert not legend - {"map: low to high"} & words(replace(row, maps=(MapPanel(panel.heat),)))
    assert "truth" not in words(replace(row, truth=None))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("title", ["$x_1$ costs $5", "\\frac{", "t" * 500, "", "a\n\nb"])
def test_any_text_is_plain_and_stays_on_the_sheet(row: SheetRow, title: str) -> None:
    picture = drawn(replace(row, title=title), heads=(title,), title=title)
    assert not is_cut_off(picture)


def test_a_wide_image_makes_a_wider_sheet_but_not_without_end(row: SheetRow) -> None:
    widths = [
        drawn(replace(row, image=np.zeros((10, width, 3), np.uint8))).shape[1]
        for width in (10, 19, 1000)
    ]
    assert widths[0] < widths[1] == widths[2]


@pytest.mark.parametrize(("count", "maps"), [(0, 1), (MAX_ROWS + 1, 1), (11, MAX_MAPS // 10)])
def test_too_few_and_too_many_are_refused(row: SheetRow, count: int, maps: int) -> None:
    with refused("E_SHEET_ROWS"):
        draw_sheet([row] * count, ["a"] * maps)


def test_equal_rows_give_equal_figures(row: SheetRow) -> None:
    one, other = (drawn(row, row) for _ in "ab")
    assert np.array_equal(one, other)
