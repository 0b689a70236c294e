"""Pictures made of several."""

from __future__ import annotations

import numpy as np
from PIL import Image
from standins import MemoryTestSet, noise_picture, protocol, sample, trial, trials_of

from ssl_bench.trials.recipes import LEFT, RIGHT, ImageRecipe
from ssl_bench.trials.trial_set import TrialSet

PAIR = [sample("a", category="dog"), sample("b", category="cat")]


class TestPictures:
    def test_a_whole_picture_is_the_sample_s_own(self) -> None:
        trials = trials_of(PAIR)
        np.testing.assert_array_equal(trials.image(trials.trials[1].image), noise_picture("b"))

    def test_two_halves_are_squeezed_by_pillow_s_bicubic(self) -> None:
        trials = trials_of(PAIR, "concat")
        recipe = trials.trials[0].image
        picture = trials.image(recipe)
        halves = [
            Image.fromarray(noise_picture(name)).resize((8, 12), Image.Resampling.BICUBIC)
            for name, _ in recipe.parts
        ]
        np.testing.assert_array_equal(picture, np.concatenate(halves, axis=1))

    def test_the_canvas_is_as_large_as_the_largest_and_even(self) -> None:
        shapes = {"a": (9, 4), "b": (5, 13)}
        test_set = MemoryTestSet(
            PAIR, picture=lambda name: np.full((*shapes[name], 3), ord(name), np.uint8)
        )
        trials = TrialSet(protocol(), test_set, [trial("x")])
        picture = trials.image(ImageRecipe((("a", LEFT), ("b", RIGHT))))
        assert picture.shape == (10, 14, 3)
        assert (picture[:, :7] == ord("a")).all()
        assert (picture[:, 7:] == ord("b")).all()

    def test_a_single_part_that_is_no_whole_leaves_the_rest_black(self) -> None:
        trials = trials_of(PAIR)
        picture = trials.image(ImageRecipe((("a", RIGHT),)))
        assert not picture[:, :8].any()
        assert picture[:, 8:].any()
