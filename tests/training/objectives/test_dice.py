import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ssl_bench.training.objectives.dice import dice_coefficient, dice_loss

MAPS = hnp.arrays("float64", (2, 3, 4), elements=st.floats(0, 1, width=32))


def test_the_printed_coefficient_by_hand() -> None:
    """G = [1 1 0 0], U = [0.8 0.4 0.2 0.6]: 1.2 / (2 + 2); no factor 2."""
    truth = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    maps = torch.tensor([[[0.8, 0.4], [0.2, 0.6]]])
    assert dice_coefficient(maps, truth).item() == pytest.approx(0.3)
    assert dice_loss(maps, truth).item() == pytest.approx(0.7)


def test_disagreeing_annotators_count_by_their_mean() -> None:
    """G = [1 0.5 0], U = [1 1 0]: 1.5 / 3.5."""
    truth = torch.tensor([[[1.0, 0.5, 0.0]]])
    maps = torch.tensor([[[1.0, 1.0, 0.0]]])
    assert dice_coefficient(maps, truth).item() == pytest.approx(1.5 / 3.5)


def test_sums_run_over_one_map_at_a_time() -> None:
    """A large and a small object weigh alike: 1/2 and 0, not 4 / 10."""
    truth = torch.tensor([[[1.0, 1.0, 1.0, 1.0]], [[1.0, 0.0, 0.0, 0.0]]])
    maps = torch.tensor([[[1.0, 1.0, 1.0, 1.0]], [[0.0, 1.0, 0.0, 0.0]]])
    torch.testing.assert_close(dice_coefficient(maps, truth), torch.tensor([0.5, 0.0]))
    assert dice_loss(maps, truth).item() == pytest.approx(0.75)


def test_empty_maps_are_no_division_by_zero() -> None:
    nothing = torch.zeros(1, 2, 2, requires_grad=True)
    loss = dice_loss(nothing, torch.zeros(1, 2, 2))
    loss.backward()
    assert loss.item() == 1
    assert nothing.grad is not None
    assert bool(nothing.grad.isfinite().all())


def test_the_gradient_by_hand() -> None:
    """d(1 - DC)/dU = -(G (sum G + sum U) - sum GU) / (sum G + sum U)^2; G = [1 0], U = [.5 .5]."""
    maps = torch.tensor([[[0.5, 0.5]]], requires_grad=True)
    dice_loss(maps, torch.tensor([[[1.0, 0.0]]])).backward()
    assert maps.grad is not None
    torch.testing.assert_close(maps.grad[0, 0], torch.tensor([-1.5 / 4, 0.5 / 4]))


@given(MAPS, MAPS)
def test_it_is_symmetric_and_at_most_one_half(first: object, second: object) -> None:
    one, other = torch.as_tensor(first), torch.as_tensor(second)
    found = dice_coefficient(one, other)
    torch.testing.assert_close(found, dice_coefficient(other, one))
    assert found.min() >= 0
    assert found.max() <= 0.5 + 1e-12


@given(MAPS)
def test_only_the_truth_itself_reaches_one_half(values: object) -> None:
    truth = (torch.as_tensor(values) > 0.5).double()
    truth[:, 0, 0] = 1.0
    assert dice_loss(truth, truth).item() == pytest.approx(0.5)
    wrong = truth.clone()
    wrong[:, 2, 3] = 1 - wrong[:, 2, 3]
    assert dice_loss(wrong, truth).item() > 0.5
