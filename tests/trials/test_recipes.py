"""Recipes of pictures and sounds: values that are equal where what they make is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.trials.recipes import LEFT, RIGHT, WHOLE, AudioRecipe, ImageRecipe


class TestRecipes:
    def test_equal_recipes_are_one_picture_and_one_sound(self) -> None:
        parts = (("a", LEFT), ("b", RIGHT))
        assert len({ImageRecipe(parts), ImageRecipe(tuple(parts))}) == 1
        assert len({AudioRecipe.of("a"), AudioRecipe.of("a"), AudioRecipe.of("b")}) == 2

    def test_the_same_samples_on_other_sides_are_another_picture(self) -> None:
        one = ImageRecipe((("a", LEFT), ("b", RIGHT)))
        other = ImageRecipe((("b", LEFT), ("a", RIGHT)))
        assert one != other
        assert one.key != other.key

    def test_a_whole_picture_is_known_by_its_sample(self) -> None:
        assert ImageRecipe((("a", WHOLE),)).key == AudioRecipe.of("a").key == "a"

    @pytest.mark.parametrize(
        ("recipe", "key"),
        [
            (AudioRecipe(("a", "b")), "a + b"),
            (AudioRecipe(("a",), "silence"), "silence like a"),
            (AudioRecipe(("a",), "noise", 3), "noise 3 like a"),
        ],
    )
    def test_a_recipe_says_what_is_made(self, recipe: AudioRecipe, key: str) -> None:
        assert recipe.key == key


class TestPlacement:
    @given(st.integers(1, 300), st.integers(1, 300))
    def test_left_and_right_share_out_the_columns(self, height: int, width: int) -> None:
        covered = np.zeros((height, width), int)
        for placement in (LEFT, RIGHT):
            covered[placement.on_grid(height, width)] += 1
        assert (covered == 1).all()

    def test_the_middle_of_an_odd_width_belongs_to_the_right(self) -> None:
        assert LEFT.on_grid(2, 5)[1] == slice(0, 2)
        assert RIGHT.on_grid(2, 5)[1] == slice(2, 5)
