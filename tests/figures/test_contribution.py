"""The figure of what audio contributes."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import is_cut_off, pixels_of
from PIL import Image
from refusals import refused

from ssl_bench.figures.contribution import FigureRow, draw_rows
from ssl_bench.scoring.results import MeasuredValue


def _value(value: float) -> MeasuredValue:
    return MeasuredValue(
        measure="cIoU@0.5",
        value=value,
        low=value - 0.1,
        high=value + 0.1,
        method="wilson",
        n_trials=10,
        n_groups=10,
    )


@pytest.fixture
def rows() -> list[FigureRow]:
    return [
        FigureRow("with the sound", _value(0.6), None),
        FigureRow("silence", _value(0.4), _value(0.2), ("#D55E00", "s")),
        FigureRow("same category", _value(0.5), _value(0.1), ("#009E73", "^")),
    ]


def _draw(path: Path, rows: list[FigureRow]) -> None:
    draw_rows(path, rows, "ezvsl, synth\nIt hears.", "cIoU@0.5")


def test_equal_rows_give_equal_bytes(rows: list[FigureRow], tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        _draw(tmp_path / name, rows)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert picture.width == 8.6 * 160


def test_each_row_makes_the_figure_higher(rows: list[FigureRow], tmp_path: Path) -> None:
    heights = []
    for count in (2, 3):
        _draw(tmp_path / "a.png", rows[:count])
        with Image.open(tmp_path / "a.png") as picture:
            heights.append(picture.height)
    assert heights[1] > heights[0]


def test_levels_are_drawn_as_the_model_with_its_sound(
    rows: list[FigureRow], tmp_path: Path
) -> None:
    level = FigureRow("size: large", _value(0.7), _value(0.3), is_level=True)
    assert level.style == rows[0].style
    other = FigureRow("size: large", _value(0.7), _value(0.3), ("#009E73", "^"))
    for name, last in (("level.png", level), ("other.png", other)):
        _draw(tmp_path / name, [*rows, last])
    assert (tmp_path / "level.png").read_bytes() != (tmp_path / "other.png").read_bytes()


def test_nothing_is_cut_off_and_every_mark_is_explained(
    rows: list[FigureRow], tmp_path: Path
) -> None:
    long = FigureRow("a name " * 20, _value(0.7), _value(0.3), is_level=True)
    for ending in ("png", "svg"):
        draw_rows(tmp_path / f"a.{ending}", [*rows, long], "a title $x " * 60, "cIoU@0.5")
    assert not is_cut_off(pixels_of(tmp_path / "a.png"))
    drawn = (tmp_path / "a.svg").read_text()
    assert "below the line" in drawn
    for meaning in ("own sound", "of its category", "without its sound", "95 % interval"):
        assert meaning in drawn


def test_a_place_that_cannot_be_written_is_named(rows: list[FigureRow], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with refused("E_PICTURE_WRITE", where="file/a.png"):
        _draw(tmp_path / "file" / "a.png", rows)
