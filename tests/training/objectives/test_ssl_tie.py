"""The objective of SSL-TIE and its transforms, by their properties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.training.objectives.lvs import lvs_loss
from ssl_bench.training.objectives.ssl_tie import (
    Transforms,
    draw_transforms,
    own_maps,
    ssltie_loss,
    transform,
)


def _one(degrees: float = 0.0, scale: float = 1.0, mirrored: bool = False) -> Transforms:
    return Transforms(torch.tensor([degrees]), torch.tensor([scale]), torch.tensor([mirrored]))


PLANE = torch.arange(16.0).reshape(1, 1, 4, 4)


def test_nothing_is_changed_by_the_identity() -> None:
    torch.testing.assert_close(transform(PLANE, _one()), PLANE)


def test_mirroring_swaps_left_and_right() -> None:
    torch.testing.assert_close(transform(PLANE, _one(mirrored=True)), PLANE.flip(3))


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (-90, -1)])
def test_rotations_are_counter_clockwise(degrees: float, quarters: int) -> None:
    found = transform(PLANE, _one(degrees=degrees))
    torch.testing.assert_close(found, torch.rot90(PLANE, quarters, (2, 3)), atol=1e-4, rtol=0)


def test_mirroring_comes_before_rotation() -> None:
    found = transform(PLANE, _one(degrees=90, mirrored=True))
    torch.testing.assert_close(found, torch.rot90(PLANE.flip(3), 1, (2, 3)), atol=1e-4, rtol=0)


def test_shrinking_leaves_a_margin_of_zeros() -> None:
    found = transform(torch.ones(1, 1, 8, 8), _one(scale=0.5))[0, 0]
    assert found[3:5, 3:5].eq(1).all()
    assert found[:1].eq(0).all()
    assert found.sum().item() == pytest.approx(16, rel=0.05)  # a quarter of the area


def test_each_image_has_a_transform_of_its_own() -> None:
    both = Transforms(torch.tensor([0.0, 90.0]), torch.ones(2), torch.tensor([False, False]))
    found = transform(PLANE.expand(2, 1, 4, 4), both)
    torch.testing.assert_close(found[0], PLANE[0])
    assert not torch.equal(found[1], PLANE[0])


@given(seed=st.integers(0, 50))
def test_draws_stay_in_range(seed: int) -> None:
    torch.manual_seed(seed)
    drawn = draw_transforms(40, max_degrees=20, smaller=0.25)
    assert drawn.degrees.abs().max() <= 20
    assert torch.equal(drawn.degrees, drawn.degrees.round())
    assert set(drawn.scale.tolist()) == {0.25, 1.0}
    assert set(drawn.mirrored.tolist()) == {False, True}


def test_an_equivariant_network_pays_for_localization_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 5, 4, 4, generator=generator)
    sounds = torch.rand(3, 5, generator=generator)
    turned = Transforms(torch.full((3,), 90.0), torch.ones(3), torch.zeros(3, dtype=torch.bool))
    moved = torch.rot90(images, 1, (2, 3))
    loss = ssltie_loss(images, moved, sounds, turned)
    assert loss.item() == pytest.approx(lvs_loss(images, sounds).item(), rel=1e-4)
    still = ssltie_loss(images, images, sounds, turned)
    wrong = own_maps(images, sounds) - own_maps(moved, sounds)
    assert still.item() == pytest.approx(
        lvs_loss(images, sounds).item() + wrong.square().mean().item(), rel=1e-4
    )


def test_the_weight_of_equivariance_scales_its_term_alone() -> None:
    images, moved = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    sounds, still = (
        torch.rand(2, 3),
        Transforms(torch.zeros(2), torch.ones(2), torch.zeros(2, dtype=torch.bool)),
    )
    none, one, two = (
        ssltie_loss(images, moved, sounds, still, equivariance=weight).item()
        for weight in (0.0, 1.0, 2.0)
    )
    assert none == pytest.approx((lvs_loss(images, sounds) + lvs_loss(moved, sounds)).item() / 2)
    assert two - none == pytest.approx(2 * (one - none), rel=1e-4)
