"""The three ways of matching that EZ-VSL's table 6 compares."""

import math

import pytest
import torch

from ssl_bench.training.objectives.ez_vsl import (
    MATCHINGS,
    Matching,
    ez_vsl_loss,
    max_similarity,
    mean_similarity,
    pooled_similarity,
)


def features(batch: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return (
        torch.randn(batch, 6, 2, 3, generator=generator),
        torch.randn(batch + 1, 6, generator=generator),
    )


def test_the_mean_is_that_of_the_cosines_of_all_locations() -> None:
    images, sounds = features()
    found = mean_similarity(images, sounds)
    for n in range(4):
        for m in range(5):
            cosines = [
                torch.cosine_similarity(images[n, :, y, x], sounds[m], dim=0)
                for y in range(2)
                for x in range(3)
            ]
            assert found[n, m].item() == pytest.approx(float(sum(cosines)) / 6, abs=1e-6)


def test_pooling_takes_the_largest_value_of_each_channel_over_unit_vectors() -> None:
    """Locations (3, 4) and (1, 0) become (0.6, 0.8) and (1, 0): pooled (1, 0.8)."""
    images = torch.tensor([[[[3.0, 1.0]], [[4.0, 0.0]]]])
    found = pooled_similarity(images, torch.tensor([[0.0, 2.0]]))
    assert found.item() == pytest.approx(0.8 / math.hypot(1, 0.8))


def test_one_location_leaves_no_difference() -> None:
    images, sounds = features()
    alone = images[:, :, :1, :1]
    for similarity in (mean_similarity, pooled_similarity):
        torch.testing.assert_close(similarity(alone, sounds), max_similarity(alone, sounds))


@pytest.mark.parametrize("matching", MATCHINGS)
def test_the_objective_uses_the_similarity_of_that_name(matching: Matching) -> None:
    images, sounds = features()
    sounds = sounds[:4]
    logits = MATCHINGS[matching](images, sounds) / 0.2
    rows, columns = logits.log_softmax(dim=1), logits.log_softmax(dim=0)
    expected = -(rows.diagonal().mean() + columns.diagonal().mean())
    torch.testing.assert_close(ez_vsl_loss(images, sounds, 0.2, matching), expected)
    same = torch.ones(4, 6, 2, 3)
    loss = ez_vsl_loss(same, torch.ones(4, 6), 0.2, matching)
    assert loss.item() == pytest.approx(2 * math.log(4), rel=1e-5)


def test_the_three_differ_and_the_best_location_is_the_default() -> None:
    images, sounds = features()
    losses = {name: ez_vsl_loss(images, sounds[:4], 0.2, name).item() for name in MATCHINGS}
    assert len({round(loss, 4) for loss in losses.values()}) == 3
    assert losses["max-of-similarities"] == ez_vsl_loss(images, sounds[:4], 0.2).item()
