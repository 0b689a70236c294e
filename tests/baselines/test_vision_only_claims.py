"""What the papers claim of models that never listen, on the embedded world and shipped weights.

They come close to a model that listens, or pass it, where every object that can sound does; they
fall far behind where the sound has to choose. Margins leave room around what training seeds 0 to 2
reached; the cards state the figures.
"""

from __future__ import annotations

import pytest
from board_results import heard, heard_of_type

# How far below the model that hears each may stay on standard trials. Grad-CAM is the weakest in
# the papers, too, and differs by seven points between seeds.
BLIND = {"ogl-l1": 8, "ogl-cls": 9, "gradcam": 16, "unet": 3}
ADAPTIVE = "cIoU(adaptive)@0.5"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("model", BLIND)
class TestBlindToSound:
    def test_it_comes_close_on_standard_trials(self, model: str) -> None:
        reached = heard("ezvsl", "synth", "cIoU@0.5")
        assert heard(model, "synth", "cIoU@0.5") > reached - BLIND[model]

    def test_it_guesses_the_half_of_a_concatenated_pair(self, model: str) -> None:
        assert 42 < heard(model, "concat", "side-accuracy") < 58

    def test_it_falls_far_behind_where_the_sound_chooses(self, model: str) -> None:
        reached = heard("ezvsl", "concat", ADAPTIVE)
        assert heard(model, "concat", ADAPTIVE) < reached - 20
        assert heard_of_type(model, "B", ADAPTIVE) < heard_of_type("ezvsl", "B", ADAPTIVE) - 25

    def test_the_gap_between_the_types_is_its_own(self, model: str) -> None:
        gap = heard_of_type(model, "A", ADAPTIVE) - heard_of_type(model, "B", ADAPTIVE)
        assert gap > 12
        hearing = heard_of_type("ezvsl", "A", ADAPTIVE) - heard_of_type("ezvsl", "B", ADAPTIVE)
        assert gap > hearing + 10


def test_supervision_without_sound_passes_a_model_that_hears() -> None:
    reached = heard("ezvsl", "synth", ADAPTIVE)
    assert heard("unet", "synth", ADAPTIVE) > reached - 3
    for prior in ("ogl-l1", "ogl-cls", "gradcam"):
        assert heard("unet", "synth", ADAPTIVE) > heard(prior, "synth", ADAPTIVE)
