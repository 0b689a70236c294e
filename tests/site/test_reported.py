"""Reported figures between floor and ceiling."""

from __future__ import annotations

import pytest

from ssl_bench.leaderboard.board import Competition, read_board
from ssl_bench.leaderboard.published import read_published
from ssl_bench.leaderboard.submissions import default_board
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.site.printed import printed_for
from ssl_bench.site.reported import Picture, reported_picture
from ssl_bench.statistics.bootstrap import wilson


@pytest.fixture(scope="module")
def vggss() -> Competition:
    """What the board has of VGG-SS, from its locks."""
    return read_board(default_board(), folders=("vggss",)).competitions["vggss"]


@pytest.fixture(scope="module")
def picture(vggss: Competition) -> Picture:
    figures = printed_for(load_protocol("vggss"), read_published())
    found = reported_picture(vggss, figures)
    assert found is not None
    return found


def test_reported_figures_stand_between_the_floor_and_the_ceiling_of_their_trials(
    picture: Picture,
) -> None:
    assert (picture.floor, picture.floor_name, picture.ceiling) == ("34.0", "Image centre", "50.5")
    assert (picture.n_printed, picture.n_reported, picture.n_trials) == (44, 39, 5158)
    assert float(picture.zone[0]) < float(picture.zone[1]) < 100


def test_lines_are_in_the_order_of_their_values(picture: Picture) -> None:
    values = [float(line.text) for line in picture.lines]
    assert values == sorted(values, reverse=True)
    measured = [line.name for line in picture.lines if line.kind == "entry"]
    assert measured[0] == "Image centre"
    assert picture.n_above == sum(
        float(line.text) > 34.03 for line in picture.lines if line.kind == "reported"
    )


def test_a_letter_joins_figures_within_the_interval_of_the_highest(picture: Picture) -> None:
    reported = [line for line in picture.lines if line.kind == "reported"]
    for letter in {line.band for line in reported}:
        band = [float(line.text) for line in reported if line.band == letter]
        low, _ = wilson(5158 * band[0] / 100, 5158)
        assert min(band) >= 100 * low
    assert [line.band for line in reported[:5]] == ["A", "A", "A", "B", "B"]


def test_models_of_a_list_that_holds_test_clips_are_marked(picture: Picture) -> None:
    marked = {line.train_set for line in picture.lines if line.trained_on_test[:3] == "yes"}
    assert marked == {"vggsound-144k"}
    assert {line.name for line in picture.lines if line.is_deaf} > {
        "EZ-VSL, L1-OGL only",
        "Image centre",
    }


def test_there_is_no_picture_where_papers_report_on_another_test_set(vggss: Competition) -> None:
    figures = printed_for(load_protocol("concat"), read_published())
    assert figures
    assert reported_picture(vggss, figures) is None
