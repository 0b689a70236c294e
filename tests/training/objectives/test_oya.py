"""No value of this objective is published: it is held to what the paper says of it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssl_bench.models.oya import OyaArchitecture, OyaNetwork
from ssl_bench.training.objectives.oya import draw_strangers, siamese_loss, siamese_loss_of_batch

cosines = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=9).map(torch.tensor)


@given(cosines, cosines)
def test_the_loss_lies_between_0_and_1(positive: Tensor, negative: Tensor) -> None:
    assert 0 <= siamese_loss(positive, negative).item() <= 1


def test_it_vanishes_where_pairs_agree_and_strangers_do_not() -> None:
    assert siamese_loss(torch.ones(3), torch.zeros(5)).item() == 0


def test_it_is_1_where_only_strangers_agree() -> None:
    assert siamese_loss(torch.zeros(3), torch.ones(5)).item() == 1


def test_both_kinds_of_pairs_weigh_the_same_whatever_their_numbers() -> None:
    positive, negative = torch.tensor([0.9]), torch.tensor([0.2, 0.4, 0.6])
    assert siamese_loss(positive, negative).item() == pytest.approx((0.1 + 0.4) / 2)
    positive.requires_grad_()
    negative.requires_grad_()
    torch.autograd.backward(siamese_loss(positive, negative))
    assert positive.grad is not None
    assert negative.grad is not None
    assert positive.grad.sum().item() == pytest.approx(-0.5)
    assert negative.grad.sum().item() == pytest.approx(0.5)


def test_the_pairs_of_a_batch_are_those_that_are_named() -> None:
    table = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.8, 0.4], [0.5, 0.6, 0.7]])
    strangers = torch.tensor([[1], [2], [0]])  # image 1 with sound 0, image 2 with sound 1, ...
    expected = siamese_loss(torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0.3, 0.6, 0.2]))
    torch.testing.assert_close(siamese_loss_of_batch(table, strangers), expected)


def test_with_every_stranger_the_order_of_the_batch_does_not_matter() -> None:
    table = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    strangers = draw_strangers(5, 4)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = table[order][:, order]
    torch.testing.assert_close(
        siamese_loss_of_batch(shuffled, strangers), siamese_loss_of_batch(table, strangers)
    )


@given(st.integers(2, 12), st.data())
def test_strangers_are_different_images_of_the_batch_and_never_its_own(
    batch: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, batch - 1))
    strangers = draw_strangers(batch, count)
    assert strangers.shape == (batch, count)
    for own, chosen in enumerate(strangers.tolist()):
        assert len(set(chosen)) == count
        assert set(chosen) <= set(range(batch)) - {own}


def test_every_stranger_is_as_likely() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([draw_strangers(4, 1, generator) for _ in range(1000)], dim=1)
    for own, chosen in enumerate(drawn.numpy()):
        counts = np.bincount(chosen, minlength=4)
        assert counts[own] == 0
        assert np.all(np.abs(np.delete(counts, own) - 1000 / 3) < 75)


@pytest.mark.parametrize("count", [0, 3])
def test_more_strangers_than_there_are_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match="strangers"):
        draw_strangers(3, count)


@pytest.mark.parametrize("potential", ["learned", "constant"])
def test_a_step_against_the_gradient_lowers_it(potential: str) -> None:
    torch.manual_seed(0)
    architecture = OyaArchitecture.model_validate(
        {
            "image_stages": ((4,), (4,)),
            "sound_stages": ((4,), (4,)),
            "bins": 16,
            "hidden": 8,
            "dimension": 8,
            "potential": potential,
        }
    )
    network = OyaNetwork(architecture)
    images, sounds = torch.randn(6, 3, 16, 16), torch.randn(6, 2, 16, 8)
    strangers = draw_strangers(6, 5)

    def loss() -> Tensor:
        visual, prior = network.encode_images(images)
        return siamese_loss_of_batch(
            network.similarity(visual, prior, network.encode_sounds(sounds)), strangers
        )

    before = loss()
    torch.autograd.backward(before)
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter -= 1e-3 * parameter.grad
    assert loss().item() < before.item()
