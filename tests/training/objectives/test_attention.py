"""Senocak et al.: both terms of the objective, what is annotated, and the task."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from attention_cases import TINY, features, published_network, published_visual, truth, vectors
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.models.attention import AttentionNetwork, attention_maps
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.recipes import checked
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import ArraySource, Needs
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives import needs_of
from ssl_bench.training.objectives.attention import (
    AttentionTask,
    Settings,
    annotation_loss,
    distance_loss,
    truth_on_cells,
)
from ssl_bench.training.run import plan_training


class TestDistances:
    def test_by_hand(self) -> None:
        answers = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        own = torch.tensor([[3.0, 4.0], [1.0, 1.0]])  # 5 and 0 away
        others = torch.tensor([[[0.0, 4.0]], [[1.0, 3.0]]])  # 4 and 2 away
        shares = [1 / (1 + math.exp(4 - 5)), 1 / (1 + math.exp(2 - 0))]
        expected = np.mean([share**2 for share in shares])
        assert distance_loss(answers, own, others).item() == pytest.approx(expected, rel=1e-4)

    def test_several_negatives_weigh_the_same(self) -> None:
        generator = torch.Generator().manual_seed(0)
        answers, own = torch.randn(2, 3, 4, generator=generator)
        others = torch.randn(3, 5, 4, generator=generator)
        each = [distance_loss(answers, own, others[:, [i]]) for i in range(5)]
        torch.testing.assert_close(distance_loss(answers, own, others), torch.stack(each).mean())


class TestAnnotations:
    def test_only_annotated_examples_count(self) -> None:
        attention = torch.tensor([[[0.5, 0.25, 0.25]], [[0.2, 0.2, 0.6]]])
        truths = torch.tensor([[[0.5, 0.5, 0.0]], [[0.0, 0.0, 1.0]]])
        entropies = [0.5 * math.log(2) + 0.5 * math.log(4), -math.log(0.6)]
        for weights, expected in (
            ([1, 0], entropies[0] / 2),
            ([0, 1], entropies[1] / 2),
            ([1, 1], sum(entropies) / 2),
        ):
            found = annotation_loss(attention, truths, torch.tensor(weights))
            assert found.item() == pytest.approx(expected)

    def test_it_is_least_where_attention_is_the_truth(self) -> None:
        truths = torch.tensor([[[0.1, 0.6, 0.3]]])
        one = torch.ones(1)
        other = torch.tensor([[[0.2, 0.5, 0.3]]])
        assert annotation_loss(truths, truths, one) < annotation_loss(other, truths, one)

    def test_truths_are_averaged_over_cells_and_sum_to_1(self) -> None:
        truths = torch.zeros(2, 4, 4)
        truths[0, :2, :2] = 1
        truths[0, :2, 2] = 1
        found = truth_on_cells(truths, 2, 2)
        torch.testing.assert_close(found[0], torch.tensor([[2 / 3, 1 / 3], [0.0, 0.0]]))
        assert found[1].sum() == 0


@pytest.mark.slow
def test_both_terms_and_their_gradients_are_those_of_the_authors_code() -> None:
    network, expected = published_network(), vectors()
    visual = published_visual()
    sounds, own = network.hear(features("own"))
    attention = attention_maps(visual, sounds[:, None])
    answers = network.answer(visual, attention)[:, 0]
    distances = distance_loss(answers, own, features("other")[:, None])
    annotations = annotation_loss(attention[:, 0], truth(), torch.tensor([1.0, 0.0]))
    assert distances.item() == pytest.approx(float(expected["unsupervised"]), abs=1e-3)
    assert annotations.item() == pytest.approx(float(expected["supervised"]), rel=1e-5)
    torch.autograd.backward(distances + annotations)
    norms = {
        name: each.grad.norm().item()
        for name, each in network.named_parameters()
        if each.grad is not None
    }
    names = expected["gradient_names"].tolist()
    assert sorted(norms) == names
    np.testing.assert_allclose([norms[name] for name in names], expected["gradients"], rtol=1e-2)


def make_task(**settings: Any) -> AttentionTask:
    generator = np.random.default_rng(0)
    truths = np.zeros((8, 128, 128), np.float32)
    truths[:, :40, :40] = 1
    scenes = ArraySource(
        ids=tuple(f"s{index}" for index in range(8)),
        images=generator.integers(0, 256, (8, 40, 40, 3), np.uint8),
        spectrograms=generator.normal(0, 1, (8, 1, 64, 20)).astype(np.float16),
        categories=np.arange(8),
        truths=truths,
        digest="",
    )
    torch.manual_seed(0)
    needs = Needs(truth=bool(settings.get("annotated")))
    feed = Feed(scenes, Augmentation(), ImagePreprocessing(side=32), 0, needs)
    network = AttentionNetwork(TINY).eval()
    return AttentionTask(network, feed, feed, Settings.model_validate(settings))


class TestTask:
    def test_all_negatives_together_are_those_of_validation(self) -> None:
        task = make_task(negatives=99)
        batch = task.training_feed.batch(np.arange(8), 0)
        with torch.inference_mode():
            torch.testing.assert_close(task.loss(batch), task.validation_loss(batch))

    def test_a_negative_is_drawn_from_torchs_own_generator(self) -> None:
        task = make_task(negatives=1)
        batch = task.training_feed.batch(np.arange(8), 0)

        def losses(seed: int) -> list[float]:
            torch.manual_seed(seed)
            with torch.inference_mode():
                return [task.loss(batch).item() for _ in range(4)]

        assert losses(0) == losses(0) != losses(1)

    def test_the_share_that_is_annotated_is_drawn_by_the_seed(self) -> None:
        task = make_task(annotated=0.25, unsupervised=False)
        losses = []
        with torch.inference_mode():
            for row in range(0, 8, 2):
                batch = task.training_feed.batch(np.array([row, row + 1]), 0)
                losses.append(task.loss(batch).item())
            whole = task.loss(task.training_feed.batch(np.arange(8), 0)).item()
        assert 1 <= sum(loss > 0 for loss in losses) <= 2
        assert whole == pytest.approx(np.mean(losses))

    def test_terms_add_up(self) -> None:
        batches = {}
        for name, settings in {
            "both": {"annotated": 1.0},
            "annotations": {"annotated": 1.0, "unsupervised": False},
            "distances": {},
        }.items():
            task = make_task(negatives=99, **settings)
            with torch.inference_mode():
                batches[name] = task.loss(task.training_feed.batch(np.arange(8), 0)).item()
        total = batches["annotations"] + batches["distances"]
        assert batches["both"] == pytest.approx(total, rel=1e-5)

    def test_it_learns_what_is_annotated(self) -> None:
        task = make_task(annotated=1.0, unsupervised=False)
        batch = task.training_feed.whole(np.arange(8))
        optimizer = torch.optim.Adam(task.network.parameters(), lr=1e-2)
        with torch.inference_mode():
            before = task.maps(batch)[:, 0, 0].mean().item()
        for _ in range(6):
            optimizer.zero_grad()
            torch.autograd.backward(task.loss(batch))
            optimizer.step()
        with torch.inference_mode():
            assert task.maps(batch)[:, 0, 0].mean().item() > before * 1.02

    def test_maps_follow_the_sound(self) -> None:
        task = make_task()
        batch = task.validation_feed.whole(np.arange(8))
        swapped = {**batch, "sounds": batch["sounds"].flip(0)}
        with torch.inference_mode():
            assert not torch.allclose(task.maps(batch), task.maps(swapped))

    def test_similarities_of_own_pairs_are_distances_from_answers(self) -> None:
        task = make_task(negatives=99)
        batch = task.validation_feed.whole(np.arange(4))
        with torch.inference_mode():
            visual = task.network.see(batch["images"])
            sounds, own = task.network.hear(batch["sounds"])
            answers = task.network.answer(visual, task.maps(batch)[:, None])[:, 0]
            expected = -torch.nn.functional.pairwise_distance(answers, own)
            torch.testing.assert_close(task.similarities(batch).diagonal(), expected)
            assert sounds.shape == (4, 8)


class TestSettings:
    def test_something_must_be_learned(self) -> None:
        with refused("E_SCHEMA", where="annotated", kind=ModelError):
            checked(Settings, {"unsupervised": False}, "here")

    @pytest.mark.parametrize("annotated", [0.0, 0.2, 1.0])
    def test_truth_is_read_where_something_is_annotated(self, annotated: float) -> None:
        needs = needs_of("attention", settings={"annotated": annotated})
        assert needs == Needs(truth=annotated > 0)

    def test_a_change_of_the_recipe_decides(self) -> None:
        assert not plan_training("attention").needs.truth
        changes = {"settings.annotated": 0.5, "architecture.trunk.width": 8}
        assert plan_training("attention", changes=changes).needs.truth
