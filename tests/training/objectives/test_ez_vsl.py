"""EZ-VSL: hand-computed values, symmetries, the public code's numbers, ways of matching, task."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssl_bench.models.ezvsl import EZVSLArchitecture, EZVSLNetwork
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives.ez_vsl import (
    MATCHINGS,
    EZVSLTask,
    Matching,
    Settings,
    average_similarity,
    ez_vsl_loss,
    max_similarity,
    mean_similarity,
    pooled_similarity,
    unit_pooled_similarity,
)


def features(seed: int, batch: int, dimensions: int = 6, side: int = 3):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, dimensions, side, side, generator=generator)
    return images, torch.randn(batch, dimensions, generator=generator)


def test_similarity_is_the_best_location_of_each_image_for_each_sound():
    images, sounds = features(0, 4)
    found = max_similarity(images, sounds)
    for n in range(4):
        for m in range(4):
            cosines = [
                torch.cosine_similarity(images[n, :, y, x], sounds[m], dim=0).item()
                for y in range(3)
                for x in range(3)
            ]
            assert found[n, m].item() == pytest.approx(max(cosines), abs=1e-6)


def test_similarity_of_more_sounds_than_images():
    images, _ = features(1, 2)
    _, sounds = features(2, 5)
    assert max_similarity(images, sounds).shape == (2, 5)


def test_ez_vsl_loss_by_hand():
    # Two images of one location and two sounds in the plane: cosines 1, 0 / 0, 1.
    images = torch.eye(2).reshape(2, 2, 1, 1)
    sounds = torch.eye(2)
    one_term = math.log(1 + math.exp(-1 / 0.5))
    assert ez_vsl_loss(images, sounds, 0.5).item() == pytest.approx(2 * one_term, rel=1e-6)


def test_ez_vsl_loss_adds_both_directions():
    # Sound 0 suits both images, sound 1 suits neither: the directions then differ.
    images = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).reshape(2, 2, 1, 1)
    sounds = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    image_to_sound = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 2
    sound_to_image = math.log(2)
    expected = image_to_sound + sound_to_image
    assert ez_vsl_loss(images, sounds, 1.0).item() == pytest.approx(expected, rel=1e-6)


@given(batch=st.integers(2, 9), tau=st.floats(0.02, 2))
def test_equal_features_give_the_logarithm_of_the_batch_in_each_direction(batch, tau):
    loss = ez_vsl_loss(torch.ones(batch, 4, 2, 2), torch.ones(batch, 4), tau)
    assert loss.item() == pytest.approx(2 * math.log(batch), rel=1e-5)


@given(seed=st.integers(0, 1000), batch=st.integers(2, 7), data=st.data())
def test_order_of_the_pairs_does_not_matter_but_the_pairing_does(seed, batch, data):
    images, sounds = features(seed, batch)
    order = torch.tensor(data.draw(st.permutations(range(batch))))
    loss = ez_vsl_loss(images, sounds, 0.1)
    assert torch.allclose(ez_vsl_loss(images[order], sounds[order], 0.1), loss, atol=1e-4)
    rolled = ez_vsl_loss(images, sounds.roll(1, dims=0), 0.1)
    assert not torch.allclose(rolled, loss, atol=1e-4)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10))
def test_length_of_the_features_does_not_matter(seed, scale):
    images, sounds = features(seed, 3)
    loss = ez_vsl_loss(images, sounds, 0.2)
    assert torch.allclose(ez_vsl_loss(images * scale, sounds / scale, 0.2), loss, atol=1e-4)


@given(seed=st.integers(0, 1000))
def test_images_and_sounds_play_the_same_part_where_there_is_one_location(seed):
    images, sounds = features(seed, 5, side=1)
    swapped = ez_vsl_loss(sounds[:, :, None, None], images[:, :, 0, 0], 0.1)
    assert torch.allclose(swapped, ez_vsl_loss(images, sounds, 0.1), atol=1e-4)


def test_only_the_best_locations_receive_a_gradient():
    images, sounds = features(3, 2)
    images.requires_grad_()
    ez_vsl_loss(images, sounds, 0.1).backward()
    assert images.grad is not None
    touched = (images.grad.abs().sum(dim=1) > 0).sum(dim=(1, 2))
    assert ((touched >= 1) & (touched <= 2)).all()  # of nine; one for each of two sounds


def test_loss_is_that_of_the_authors_code(golden: Path):
    """Features of the public network in, its public loss out."""
    parity = np.load(golden / "models" / "ezvsl.parity.npz")
    best = torch.from_numpy(parity["sim_max"])
    batch = len(best)
    # Orthogonal sounds, and images whose k-th location points at sound k as strongly as the
    # public network's best location does, have exactly its matrix of similarities.
    sounds = torch.eye(batch + 1)[:batch]
    images = torch.zeros(batch, batch + 1, 1, batch)
    for n in range(batch):
        for m in range(batch):
            images[n, :batch, 0, m] = best[n].clamp(max=0)
            images[n, m, 0, m] = best[n, m]
            images[n, batch, 0, m] = torch.sqrt(1 - images[n, :batch, 0, m].square().sum())
    assert max_similarity(images, sounds) == pytest.approx(best, abs=1e-6)
    loss = ez_vsl_loss(images, sounds, 0.03).item()
    assert loss == pytest.approx(float(parity["loss"]), abs=1e-4)


def features_of_task(batch: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return (
        torch.randn(batch, 6, 2, 3, generator=generator),
        torch.randn(batch + 1, 6, generator=generator),
    )


def test_the_mean_is_that_of_the_cosines_of_all_locations() -> None:
    images, sounds = features_of_task()
    found = mean_similarity(images, sounds)
    for n in range(4):
        for m in range(5):
            cosines = [
                torch.cosine_similarity(images[n, :, y, x], sounds[m], dim=0)
                for y in range(2)
                for x in range(3)
            ]
            assert found[n, m].item() == pytest.approx(float(sum(cosines)) / 6, abs=1e-6)


def test_pooling_takes_the_largest_value_of_each_channel() -> None:
    """Locations (3, 4) and (1, 0) pooled are (3, 4); of unit length (0.6, 0.8), pooled (1, 0.8)."""
    images = torch.tensor([[[[3.0, 1.0]], [[4.0, 0.0]]]])
    sound = torch.tensor([[0.0, 2.0]])
    assert pooled_similarity(images, sound).item() == pytest.approx(0.8)
    of_unit = unit_pooled_similarity(images, sound).item()
    assert of_unit == pytest.approx(0.8 / math.hypot(1, 0.8))
    assert average_similarity(images, sound).item() == pytest.approx(2 / math.hypot(2, 2))


def test_one_location_leaves_no_difference() -> None:
    images, sounds = features_of_task()
    alone = images[:, :, :1, :1]
    for similarity in MATCHINGS.values():
        torch.testing.assert_close(similarity(alone, sounds), max_similarity(alone, sounds))


@pytest.mark.parametrize("matching", MATCHINGS)
def test_the_objective_uses_the_similarity_of_that_name(matching: Matching) -> None:
    images, sounds = features_of_task()
    sounds = sounds[:4]
    logits = MATCHINGS[matching](images, sounds) / 0.2
    rows, columns = logits.log_softmax(dim=1), logits.log_softmax(dim=0)
    expected = -(rows.diagonal().mean() + columns.diagonal().mean())
    torch.testing.assert_close(ez_vsl_loss(images, sounds, 0.2, matching), expected)
    same = torch.ones(4, 6, 2, 3)
    loss = ez_vsl_loss(same, torch.ones(4, 6), 0.2, matching)
    assert loss.item() == pytest.approx(2 * math.log(4), rel=1e-5)


def test_all_differ_and_the_best_location_is_the_default() -> None:
    images, sounds = features_of_task()
    losses = {name: ez_vsl_loss(images, sounds[:4], 0.2, name).item() for name in MATCHINGS}
    assert len({round(loss, 4) for loss in losses.values()}) == len(MATCHINGS)
    assert losses["max-of-similarities"] == ez_vsl_loss(images, sounds[:4], 0.2).item()


@pytest.fixture
def task(feed: Feed) -> EZVSLTask:
    torch.manual_seed(0)
    network = EZVSLNetwork(EZVSLArchitecture(trunk=SMALL_TRUNK, dimension=8)).eval()
    return EZVSLTask(network, feed, feed, Settings(tau=0.1, sound_bank_per_category=2))


def test_loss_is_that_of_the_encoded_batch(task):
    batch = task.training_feed.batch(np.arange(4), 0)
    with torch.inference_mode():
        images = task.network.encode_images(batch["images"])
        sounds = task.network.encode_sounds(batch["sounds"])
        assert torch.equal(task.loss(batch), ez_vsl_loss(images, sounds, 0.1))


def test_similarity_of_a_pair_is_the_best_place_of_its_map(task):
    batch = task.training_feed.whole(np.arange(4))
    with torch.inference_mode():
        best = task.maps(batch).flatten(1).amax(dim=1)
        assert torch.allclose(task.similarities(batch).diagonal(), best, atol=1e-6)


def test_sound_bank_holds_embedded_training_sounds_of_unit_length(task):
    bank = task.extra_tensors()["sound_bank"]
    assert bank.shape == (4, 8)  # two of each category that sounds alone: 0 and 1
    assert torch.allclose(bank.norm(dim=1), torch.ones(4), atol=1e-6)


def test_pooled_images_are_as_they_are_projected(feed: Feed, task: EZVSLTask) -> None:
    settings = Settings(tau=0.1, matching="similarity-of-max", sound_bank_per_category=2)
    pooling = EZVSLTask(task.network, feed, feed, settings)
    batch = feed.batch(np.arange(4), 0)
    with torch.inference_mode():
        images = task.network.project_images(batch["images"])
        assert (images.norm(dim=1) - 1).abs().max() > 0.1
        expected = ez_vsl_loss(images, task.encoded(batch)[1], 0.1, "similarity-of-max")
        assert pooling.loss(batch) == expected
        assert pooling.loss(batch) != ez_vsl_loss(*task.encoded(batch), 0.1, "similarity-of-max")
