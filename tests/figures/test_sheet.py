from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from refusals import refused

from ssl_bench.figures.sheet import MAX_ROWS, SheetRow, shortened, trial_sheet, wrapped

SIDE = 56


def disc(x: float, y: float, radius: float) -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[0 : 1 : SIDE * 1j, 0 : 1 : SIDE * 1j]
    return np.hypot(columns - x, rows - y) < radius


@pytest.fixture
def row() -> SheetRow:
    image = np.full((90, 120, 3), (200, 30, 30), np.uint8)
    truth, predicted = disc(0.3, 0.5, 0.2), disc(0.6, 0.5, 0.2)
    heat = predicted.astype(np.float32)
    return SheetRow(image, truth.astype(np.float32), heat, predicted, "t0\nviolin", 0.25, False)


def drawn(tmp_path: Path, *rows: SheetRow, title: str = "a sheet") -> np.ndarray[Any, Any]:
    trial_sheet(rows, tmp_path / "sheet.png", title)
    content = (tmp_path / "sheet.png").read_bytes()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def count_of(picture: np.ndarray[Any, Any], colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=2) <= 2).sum())


def test_the_same_rows_give_the_same_bytes(tmp_path: Path, row: SheetRow) -> None:
    for name in ("a.png", "b.png"):
        trial_sheet([row, row], tmp_path / name, "a sheet")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert not Image.open(tmp_path / "a.png").info.keys() & {"Software", "Creation Time"}


def test_each_row_adds_the_same_height(tmp_path: Path, row: SheetRow) -> None:
    heights = [drawn(tmp_path, *[row] * count).shape[0] for count in (1, 2, 3)]
    assert abs((heights[1] - heights[0]) - (heights[2] - heights[1])) <= 1
    assert heights[1] > heights[0]


def test_the_image_keeps_its_colours_and_its_proportions(tmp_path: Path, row: SheetRow) -> None:
    picture = drawn(tmp_path, replace(row, truth=np.zeros_like(row.truth)))
    red = np.abs(picture.astype(int) - (200, 30, 30)).max(axis=2) <= 2
    height, width = np.ptp(np.argwhere(red), axis=0) + 1
    assert width / height == pytest.approx(120 / 90, abs=0.03)


def test_without_an_image_the_field_is_grey(tmp_path: Path, row: SheetRow) -> None:
    grey = (158, 158, 158)
    assert count_of(drawn(tmp_path, replace(row, image=None)), grey) > 10_000
    assert count_of(drawn(tmp_path, row), grey) < 1_000


def test_the_map_runs_from_its_lowest_to_its_highest_colour(tmp_path: Path, row: SheetRow) -> None:
    lowest, highest = (0, 34, 78), (254, 232, 56)
    blank = replace(
        row, image=None, truth=np.zeros_like(row.truth), predicted=row.predicted & False
    )
    low = drawn(tmp_path, replace(blank, heat=np.zeros_like(row.heat)))
    high = drawn(tmp_path, replace(blank, heat=np.ones_like(row.heat)))
    assert count_of(low, lowest) > 10_000 > count_of(low, highest)
    assert count_of(high, highest) > 10_000 > count_of(high, lowest)


def test_truth_and_prediction_are_outlined_where_they_are(tmp_path: Path, row: SheetRow) -> None:
    blank = replace(
        row, image=None, truth=np.zeros_like(row.truth), predicted=row.predicted & False
    )
    plain = drawn(tmp_path, blank)
    for change, panels in (
        ({"truth": row.truth}, {0, 2}),
        ({"predicted": row.predicted}, {2}),
        ({"heat": 1 - row.heat}, {1}),
    ):
        changed = (drawn(tmp_path, replace(blank, **change)) != plain).any(axis=2)
        columns = np.flatnonzero(changed.any(axis=0))
        # the caption takes the right end; the panels share the rest evenly
        panel = (columns / 130 - 0.2) // (1.75 + 0.1)
        assert set(panel.astype(int).tolist()) == panels


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_empty_and_full_regions_are_drawn(tmp_path: Path, row: SheetRow) -> None:
    nothing, everything = np.zeros((SIDE, SIDE), bool), np.ones((SIDE, SIDE), bool)
    orange, white = (255, 127, 14), (255, 255, 255)
    empty, predicted, true = (
        drawn(
            tmp_path,
            replace(row, image=None, truth=truth.astype(np.float32), predicted=prediction),
        )
        for truth, prediction in ((nothing, nothing), (nothing, everything), (everything, nothing))
    )
    assert count_of(predicted, orange) > count_of(empty, orange) + 200
    assert count_of(true, white) > count_of(empty, white) + 200


def test_hit_miss_and_neither_look_different(tmp_path: Path, row: SheetRow) -> None:
    hit, miss = (0, 105, 92), (179, 38, 30)
    found = [
        (count_of(picture, hit) > 20, count_of(picture, miss) > 20)
        for picture in (
            drawn(tmp_path, replace(row, image=None, hit=True)),
            drawn(tmp_path, replace(row, image=None, hit=False)),
            drawn(tmp_path, replace(row, image=None, score=float("nan"))),
        )
    ]
    assert found == [(True, False), (False, True), (False, False)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("title", ["$x_1$ costs $5", "\\frac{", "t" * 500, "", "a\n\nb"])
def test_any_title_is_plain_text_and_stays_on_the_sheet(
    tmp_path: Path, row: SheetRow, title: str
) -> None:
    picture = drawn(tmp_path, replace(row, title=title), title=title)
    assert (picture[:, -10:] == 255).all()


def test_a_wide_image_makes_a_wider_sheet_but_not_without_end(
    tmp_path: Path, row: SheetRow
) -> None:
    widths = [
        drawn(tmp_path, replace(row, image=np.zeros((10, width, 3), np.uint8))).shape[1]
        for width in (10, 19, 1000)
    ]
    assert widths[0] < widths[1] == widths[2]


@pytest.mark.parametrize("count", [0, MAX_ROWS + 1])
def test_too_few_and_too_many_rows_are_refused(tmp_path: Path, row: SheetRow, count: int) -> None:
    with refused("E_SHEET_ROWS", where="sheet.png"):
        trial_sheet([row] * count, tmp_path / "sheet.png", "a sheet")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, row: SheetRow) -> None:
    (tmp_path / "file").write_text("")
    with refused("E_PICTURE_WRITE", where="file/sheet.png"):
        trial_sheet([row], tmp_path / "file" / "sheet.png", "a sheet")


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_shortened_line_keeps_its_ends(line: str, letters: int) -> None:
    short = shortened(line, letters)
    assert len(short) <= letters
    if len(line) <= letters:
        assert short == line
    else:
        start, end = short.split("…")[0], short.rsplit("…", 1)[1]
        assert line.startswith(start)
        assert line.endswith(end)


@given(st.text("ab |+", max_size=150))
def test_a_caption_has_at_most_two_lines_of_thirty_letters_for_each_line(line: str) -> None:
    caption = wrapped(line).split("\n")
    assert len(caption) <= 2
    assert all(len(part) <= 30 for part in caption)
    if len(line) <= 60:
        assert "".join(caption) == line
