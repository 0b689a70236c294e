"""How figures are written, and how much room texts take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from ssl_bench.media.image import source_of
from ssl_bench.plots import FORMATS, fitted, format_of, new_figure, save_figure, text_width

_DRAW = """
import sys
from pathlib import Path
from ssl_bench.plots import FORMATS, new_figure, save_figure
figure = new_figure(2, 1)
figure.add_subplot().plot([0, 1], [0, 1], label="a curve")
figure.legend()
for ending in FORMATS:
    save_figure(figure, Path(sys.argv[1]) / f"a.{ending}")
"""


@pytest.mark.slow
def test_equal_figures_of_two_processes_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        subprocess.run([sys.executable, "-c", _DRAW, str(tmp_path / name)], check=True)
    for ending in FORMATS:
        one, other = ((tmp_path / name / f"a.{ending}").read_bytes() for name in "ab")
        assert one == other
        assert not any(word in one for word in (b"CreationDate", b"<dc:date>", b"Matplotlib v"))


def test_text_stays_text(tmp_path: Path) -> None:
    for ending in ("svg", "pdf"):
        figure = new_figure(2, 1)
        figure.text(0.1, 0.5, "a name")
        save_figure(figure, tmp_path / f"a.{ending}")
    assert ">a name</text>" in (tmp_path / "a.svg").read_text()
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


def test_a_png_keeps_the_digest_of_what_it_shows(tmp_path: Path) -> None:
    save_figure(new_figure(1, 1), tmp_path / "a.png", "abc")
    assert source_of((tmp_path / "a.png").read_bytes()) == "abc"


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt"])
def test_another_ending_is_refused(name: str, tmp_path: Path) -> None:
    with refused("E_PICTURE_FORMAT", where=name):
        save_figure(new_figure(1, 1), tmp_path / name)
    assert not list(tmp_path.iterdir())
    assert format_of(Path("a.SVG")) == "svg"


def test_the_width_of_a_text_is_that_which_is_drawn() -> None:
    figure = new_figure(8, 1, dpi=100)
    for text, bold in (("cIoU 0.634", True), ("Wide names, narrow ones: ill", False)):
        weight = "bold" if bold else "normal"
        drawn = figure.text(0, 0, text, fontsize=9, weight=weight).get_window_extent()
        assert drawn.width / 100 * 0.99 < text_width(text, 9, bold=bold) < drawn.width / 100 * 1.08


@given(st.text(max_size=80), st.floats(0.3, 4), st.integers(1, 3))
def test_a_fitted_text_fits(text: str, width: float, lines: int) -> None:
    found = fitted(text, width, 8, lines=lines).split("\n")
    assert len(found) <= lines
    assert all(text_width(line, 8) <= width or len(line) == 1 for line in found)


def test_a_fitted_text_keeps_its_ends_and_breaks_between_words() -> None:
    assert fitted("one two three", 9, 8) == "one two three"
    assert fitted("one two three four", 0.6, 8, lines=2) == "one two\nthree four"
    short = fitted("standard-000001|standard-000002", 1.0, 8)
    assert short.startswith("standa")
    assert short.endswith("02")
    assert "…" in short
