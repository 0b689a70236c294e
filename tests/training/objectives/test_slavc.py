"""The objective of SLAVC by its properties; test_parity_slavc compares its value and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from ssl_bench.models.slavc import Heads
from ssl_bench.training.objectives.slavc import joint_log_probabilities, slavc_loss

TAU = 0.03


def _heads(seed: int, batch: int = 4) -> tuple[Heads, Heads]:
    generator = torch.Generator().manual_seed(seed)

    def unit(*shape: int) -> torch.Tensor:
        return functional.normalize(torch.randn(*shape, generator=generator), dim=1)

    images = Heads(unit(batch, 6, 3, 3), unit(batch, 6, 3, 3))
    return images, Heads(unit(batch, 6), unit(batch, 6))


def _permuted(heads: Heads, order: torch.Tensor) -> Heads:
    return Heads(heads.semantic[order], heads.localizing[order])


@given(seed=st.integers(0, 100))
def test_it_is_the_sum_over_places_of_two_softmaxes(seed: int) -> None:
    images, sounds = _heads(seed)
    first, second = (
        torch.einsum("nchw,mc->nmhw", seen, heard) / TAU
        for seen, heard in zip(images, sounds, strict=True)
    )
    places = second.flatten(2).softmax(dim=2).view_as(second)
    expected = (first.softmax(dim=1) * places).sum(dim=(2, 3)).log()
    found = joint_log_probabilities(images, sounds, TAU)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert (found <= 1e-6).all()


def test_it_stays_finite_where_the_product_of_probabilities_would_vanish() -> None:
    images, sounds = _heads(0)
    cold = joint_log_probabilities(images, sounds, 0.001)
    assert torch.isfinite(cold).all()
    assert cold.min() < math.log(1e-38)


def test_permuting_the_batch_does_not_change_the_loss() -> None:
    (images, sounds), (others, other_sounds) = _heads(1), _heads(2)
    order = torch.tensor([2, 0, 3, 1])
    loss = slavc_loss(images, sounds, others, other_sounds, TAU)
    permuted = slavc_loss(
        _permuted(images, order),
        _permuted(sounds, order),
        _permuted(others, order),
        _permuted(other_sounds, order),
        TAU,
    )
    assert permuted.item() == pytest.approx(loss.item(), rel=1e-5)


def test_equal_features_are_guessed_in_both_directions() -> None:
    images = Heads(*[torch.full((5, 1, 2, 2), 1.0)] * 2)
    sounds = Heads(*[torch.full((5, 1), 1.0)] * 2)
    assert slavc_loss(images, sounds, images, sounds, TAU).item() == pytest.approx(2 * math.log(5))


def test_each_direction_reads_the_momentum_features_of_the_other_side() -> None:
    images, sounds = _heads(3)
    tracked = Heads(*(part.clone().requires_grad_() for part in images))
    still = _heads(4)
    with torch.no_grad():
        base = slavc_loss(images, sounds, *still, TAU)
        other_images = slavc_loss(images, sounds, _heads(5)[0], still[1], TAU)
    assert base.item() != other_images.item()
    torch.autograd.backward(slavc_loss(tracked, sounds, *still, TAU))
    assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in tracked)
