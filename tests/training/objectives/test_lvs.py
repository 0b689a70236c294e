"""The objective of LVS by its properties; test_parity_lvs compares its value with the authors'."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.training.objectives.lvs import lvs_logits, lvs_loss, trimap


def _features(seed: int, batch: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, 6, 3, 3, generator=generator),
        torch.randn(batch, 6, generator=generator),
    )


@given(value=st.floats(-1, 1))
def test_a_place_is_never_both_sounding_and_silent(value: float) -> None:
    positive, negative = trimap(torch.tensor(value, dtype=torch.float64))
    assert 0 <= positive <= 1
    assert 0 <= negative <= 1
    assert positive + negative < 1 + 1e-3


def test_a_place_on_a_threshold_belongs_half() -> None:
    assert trimap(torch.tensor(0.65)).positive.item() == pytest.approx(0.5)
    assert trimap(torch.tensor(0.4)).negative.item() == pytest.approx(0.5)


def test_permuting_the_batch_permutes_its_rows() -> None:
    images, sounds = _features(0)
    order = torch.tensor([2, 0, 3, 1])
    logits, permuted = lvs_logits(images, sounds), lvs_logits(images[order], sounds[order])
    columns = [0, *(1 + order).tolist(), 5]
    torch.testing.assert_close(permuted, logits[order][:, columns])
    assert lvs_loss(images[order], sounds[order]).item() == pytest.approx(
        lvs_loss(images, sounds).item(), rel=1e-5
    )


@given(scale=st.floats(0.1, 10))
def test_the_length_of_features_does_not_matter(scale: float) -> None:
    images, sounds = _features(1)
    torch.testing.assert_close(
        lvs_logits(scale * images, sounds / scale), lvs_logits(images, sounds), atol=1e-3, rtol=1e-4
    )


def test_with_equal_features_every_other_sound_is_as_likely_as_the_own_one() -> None:
    # The own sound among all sounds is masked; the others and the background weigh the same.
    loss = lvs_loss(torch.ones(5, 8, 2, 2), torch.ones(5, 8), tau=1.0)
    assert loss.item() == pytest.approx(math.log(1 + 4 + 1), abs=1e-4)


def test_a_map_without_background_gives_a_number() -> None:
    images = torch.ones(2, 4, 2, 2, requires_grad=True)
    loss = lvs_loss(images, torch.ones(2, 4))
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert images.grad is not None
    assert images.grad.isfinite().all()


def test_better_localized_pairs_have_a_lower_loss() -> None:
    sounds = torch.eye(2)
    right = torch.zeros(2, 2, 1, 2)
    right[0, 0, 0, 0], right[1, 1, 0, 0] = 1, 1
    right[0, 1, 0, 1], right[1, 0, 0, 1] = -1, -1
    wrong = right.flip(0)
    assert lvs_loss(right, sounds) < lvs_loss(wrong, sounds)
