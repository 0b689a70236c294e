from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest

from ssl_bench.testsets.synth.categories import SOUNDING, categories


@pytest.mark.parametrize("category_set", [0, 1, 77])
def test_sixteen_categories_sound_and_six_never_do(category_set: int) -> None:
    kinds = categories(category_set)
    assert [kind.capable for kind in kinds] == [True] * 16 + [False] * 6


@pytest.mark.parametrize("category_set", [0, 1, 77])
def test_no_single_cue_names_a_category(category_set: int) -> None:
    kinds = categories(category_set)
    for first, second in combinations(kinds, 2):
        shared = (
            (first.shape == second.shape)
            + (first.texture == second.texture)
            + (first.hue == second.hue)
        )
        assert shared <= 1
    assert max(Counter(kind.hue for kind in kinds).values()) == 3
    assert min(Counter(kind.texture for kind in kinds).values()) >= 2


def test_names_and_families_are_distinct() -> None:
    kinds = categories()
    assert len({kind.name for kind in kinds}) == 22
    assert len({kind.family for kind in kinds[:SOUNDING]}) == 16
    assert not any("+" in kind.name for kind in kinds)


def test_another_set_has_other_categories() -> None:
    assert {kind.name for kind in categories(0)} != {kind.name for kind in categories(1)}
