"""The objective of FNAC by its properties; test_parity_fnac compares its terms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from ssl_bench.training.objectives.ez_vsl import ez_vsl_loss
from ssl_bench.training.objectives.fnac import fnac_terms

TAU = 0.03


def _features(seed: int, batch: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = functional.normalize(torch.randn(batch, 6, 3, 3, generator=generator), dim=1)
    return images, functional.normalize(torch.randn(batch, 6, generator=generator), dim=1)


@given(seed=st.integers(0, 100))
def test_the_added_terms_are_mean_distances_of_rows_that_sum_to_one(seed: int) -> None:
    terms = fnac_terms(*_features(seed), TAU)
    for term in (terms.sounds, terms.foregrounds, terms.images):
        assert 0 <= term.item() <= 2 / 4  # two distributions over four differ by 2 in all


def test_without_weight_the_objective_of_ez_vsl_remains() -> None:
    images, sounds = _features(0)
    terms = fnac_terms(images, sounds, TAU)
    assert terms.total(0).item() == pytest.approx(ez_vsl_loss(images, sounds, TAU).item())
    added = terms.sounds + terms.foregrounds + terms.images
    assert terms.total(100).item() == pytest.approx((terms.contrastive + 100 * added).item())


def test_permuting_the_batch_does_not_change_the_terms() -> None:
    images, sounds = _features(1)
    order = torch.tensor([2, 0, 3, 1])
    found = fnac_terms(images[order], sounds[order], TAU)
    torch.testing.assert_close(torch.stack(found), torch.stack(fnac_terms(images, sounds, TAU)))


def test_sounds_alike_and_matched_alike_are_no_false_negatives() -> None:
    # Each image shows one thing everywhere, the one that its sound is: all similarities agree.
    sounds = torch.eye(3)
    images = sounds[:, :, None, None].expand(3, 3, 2, 2)
    terms = fnac_terms(images, sounds, 0.5)
    assert terms.sounds.item() == pytest.approx(0, abs=1e-6)
    assert terms.images.item() == pytest.approx(0, abs=1e-6)


def test_only_the_foreground_counts_in_its_term() -> None:
    sounds = torch.eye(2)
    images = torch.zeros(2, 2, 1, 2)
    images[0, :, 0, 0], images[1, :, 0, 0] = sounds[0], sounds[1]
    images[0, :, 0, 1], images[1, :, 0, 1] = sounds[1], sounds[0]
    changed = images.clone()
    # Another background, as far from the own sound as before.
    changed[0, :, 0, 1] = -sounds[1]
    assert fnac_terms(changed, sounds, TAU).foregrounds.item() == pytest.approx(
        fnac_terms(images, sounds, TAU).foregrounds.item()
    )
    assert fnac_terms(changed, sounds, TAU).images != fnac_terms(images, sounds, TAU).images


def test_a_flat_map_gives_finite_gradients() -> None:
    images = torch.ones(3, 1, 2, 2, requires_grad=True)
    torch.autograd.backward(fnac_terms(images, torch.ones(3, 1), TAU).total(100))
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
