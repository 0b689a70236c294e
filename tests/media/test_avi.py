from __future__ import annotations

import pytest

from ssl_bench.media.avi import Arrival, times_of


def test_pictures_that_wait_for_none_have_the_places_of_their_packets() -> None:
    assert times_of([0, 3, 4], [Arrival(n, 9 - n) for n in range(3)]) == [0, 3, 4]


def test_reordered_pictures_without_gaps_are_counted_from_the_first() -> None:
    arrivals = [Arrival(1, 1), Arrival(2, 4), Arrival(3, 2), Arrival(None, 3)]
    assert times_of([0, 1, 2, 3], arrivals) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("guessed", "expected"),
    [((1, 2, 6, 7), [1, 2, 6, 7]), ((1, 6, 2, 7), None), ((1, 2, None, 7), None)],
)
def test_reordered_pictures_with_gaps_have_guessed_times_if_those_are_in_order(
    guessed: tuple[int | None, ...], expected: list[int] | None
) -> None:
    arrivals = [Arrival(n, at) for n, at in zip((1, 2, 3, None), guessed, strict=True)]
    assert times_of([0, 1, 5, 6], arrivals) == expected


def test_no_pictures_have_no_times() -> None:
    assert times_of([], []) == []
