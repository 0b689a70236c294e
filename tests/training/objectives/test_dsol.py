"""The objective of DSOL: its terms by hand, the authors' numbers, clusters, and its two stages."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from dsol_cases import small_network, vectors
from pydantic import ValidationError
from recipe_weights import recipe_tensor

from ssl_bench.models.dsol import DICTIONARY, MATCHES
from ssl_bench.models.registry import load_baseline
from ssl_bench.testsets.synth import World
from ssl_bench.training.data import ArraySource, Needs, Source, TrainingData
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives import needs_of, prepare_task
from ssl_bench.training.objectives.dsol import (
    NEEDS,
    DSOLTask,
    Settings,
    category_loss,
    correspondence_loss,
    dilated,
    k_means,
    match_clusters,
)
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.recipe import changed_recipe, training_recipe


@pytest.fixture
def labelled(feed: Feed) -> Feed:
    """Eight examples, of which three have no known category."""
    return Feed(feed.source, feed.augmentation, feed.preprocessing, feed.seed, NEEDS({}))


def make_task(feed: Feed, **settings: Any) -> DSOLTask:
    torch.manual_seed(0)
    chosen = Settings.model_validate(
        {"matching_epochs": 1, "class_epochs": 1, "negatives": 99, **settings}
    )
    network = small_network()
    torch.nn.init.constant_(network.conv_av.weight, chosen.gain)
    return DSOLTask(network, feed, feed, chosen)


class TestTerms:
    def test_pairs_and_others_count_the_same(self) -> None:
        own = torch.tensor([[[0.0, 2.0]], [[-1.0, -3.0]]])
        others = torch.zeros(2, 3, 1, 2)
        others[0, 0, 0, 1] = 1.0
        pairs = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
        rest = (5 * math.log(2) + math.log(1 + math.exp(1))) / 6
        assert correspondence_loss(own, others).item() == pytest.approx((pairs + rest) / 2)

    def test_in_the_second_stage_each_quarter_of_another_image_counts(self) -> None:
        others = torch.full((1, 1, 4, 4), -50.0)
        others[0, 0, 3, 3] = 0.0
        own = torch.full((1, 4, 4), 50.0)
        found = correspondence_loss(own, others, cells=2).item()
        assert found == pytest.approx(math.log(2) / 4 / 2)

    def test_categories_by_hand(self) -> None:
        objects = torch.tensor([[[[4.0, 0.0]], [[0.0, 2.0]]]])
        sounding = torch.tensor([[[0.5, 1.0]]])  # means of 1 and 1
        heard = torch.tensor([[0.9, 0.1]])
        expected = (0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)) / 2
        assert category_loss(objects, sounding, heard).item() == pytest.approx(expected, rel=1e-5)

    def test_they_are_those_of_the_authors_code(self) -> None:
        found = {
            name: torch.from_numpy(each) for name, each in vectors().items() if "key" not in name
        }
        logits = found["sounding"].logit()
        own, others = logits[::2], logits[1::2, None]
        first = correspondence_loss(own, others)
        torch.testing.assert_close(first, found["loss_one"], rtol=1e-4, atol=0)
        second = correspondence_loss(own, others, cells=2)
        torch.testing.assert_close(second, found["loss_location"], rtol=1e-4, atol=0)
        # Its maps of objects are those in the sounding area already.
        everywhere = torch.ones(2, 14, 14)
        heard = found["a_logits"][::2].softmax(dim=1)
        third = category_loss(found["second_objects"][::2], everywhere, heard)
        torch.testing.assert_close(third, found["loss_category"], rtol=1e-4, atol=0)

    def test_areas_grow_as_in_the_authors_code(self) -> None:
        area = recipe_tensor("dsol", "area.input", (3, 1, 6, 7))[:, 0] > 0.2
        expected = torch.from_numpy(vectors()["dilated"]).bool()
        assert expected.sum() > area.sum()
        assert (dilated(area) == expected).all()


class TestClusters:
    def test_groups_are_found(self) -> None:
        generator = np.random.default_rng(0)
        corners = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
        points = np.repeat(corners, 25, axis=0) + generator.normal(0, 0.5, (100, 2))
        found = k_means(points, 4, np.random.default_rng(1))
        for start in range(0, 100, 25):
            labels = found.labels[start : start + 25]
            assert (labels == labels[0]).all()
            mean = points[start : start + 25].mean(axis=0)
            np.testing.assert_allclose(found.centres[labels[0]], mean)

    def test_more_clusters_than_places_stay_apart(self) -> None:
        points = np.array([[0.0], [0.0], [1.0], [1.0]])
        found = k_means(points, 3, np.random.default_rng(0))
        assert found.labels[0] == found.labels[1] != found.labels[2] == found.labels[3]
        assert np.isfinite(found.centres).all()

    def test_the_same_stream_gives_the_same(self) -> None:
        points = np.random.default_rng(0).normal(size=(40, 3))
        first, second = (k_means(points, 5, np.random.default_rng(7)) for _ in range(2))
        assert (first.labels == second.labels).all()

    def test_every_category_has_a_cluster(self) -> None:
        shares = np.array([[0.5, 0.5, 0.0], [0.4, 0.1, 0.5], [0.1, 0.3, 0.6]])
        # 0.5 + 0.4 + 0.6 is more than 0.5 + 0.1 + 0.6.
        expected = [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
        assert match_clusters(shares).tolist() == expected

    def test_fewer_clusters_than_categories(self) -> None:
        found = match_clusters(np.array([[0.2], [0.9]]))
        assert found.tolist() == [[0], [1]]


class TestStages:
    def test_what_each_pass_does(self) -> None:
        settings = Settings(rounds=2, matching_epochs=1, class_epochs=2)
        phases = [settings.phase(epoch) for epoch in range(8)]
        turn = [("matching", True), ("classes", True), ("classes", False)]
        assert phases == [*turn, *turn, ("sounding", True), ("sounding", False)]

    def test_clips_of_several_sources_are_not_matched(self, labelled: Feed) -> None:
        task = make_task(labelled)
        task.start_epoch(0)
        batch = labelled.batch(np.arange(8), 0)
        several = batch["labels"] < 0
        assert several.sum() == 3
        before = task.loss(batch)
        batch["images"][several] += 1
        torch.testing.assert_close(task.loss(batch), before)

    def test_without_labels_all_are(self, feed: Feed) -> None:
        task = make_task(feed, labels=False)
        task.start_epoch(0)
        batch = feed.batch(np.arange(8), 0)
        before = task.loss(batch)
        batch["sounds"][0] += 1
        assert (task.loss(batch) - before).abs() > 1e-5
        task.start_epoch(1)
        assert task.extra_tensors().keys() == {"sound_bank", DICTIONARY}

    def test_a_cluster_looks_like_the_mean_of_its_objects(self, labelled: Feed) -> None:
        # Everything sounds, so that an object is the mean over the whole image.
        task = make_task(labelled, mask=0.0)
        task.start_epoch(1)
        state = task.state()
        rows = np.flatnonzero(labelled.source.categories >= 0)
        with torch.inference_mode():
            seen = task.network.places(labelled.whole(rows)["images"]).mean(dim=(2, 3))
        targets = state["targets"][torch.from_numpy(rows)]
        assert (state["targets"] >= 0).sum() == len(rows)
        for cluster in targets.unique():
            mean = seen[targets == cluster].mean(dim=0)
            torch.testing.assert_close(state[DICTIONARY][cluster], mean, rtol=1e-4, atol=1e-5)
        assert state[MATCHES].shape == (2, 3)

    def test_both_trunks_learn_the_clusters(self, labelled: Feed) -> None:
        task = make_task(labelled)
        task.start_epoch(1)
        batch = labelled.batch(np.arange(8), 0)
        torch.autograd.backward(task.loss(batch))
        for name in ("visual_net.conv1.weight", "audio_net.conv1_a.weight", "a_class_layer.bias"):
            gradient = task.network.get_parameter(name).grad
            assert gradient is not None
            assert gradient.abs().max() > 0
        assert task.network.conv_v_1.weight.grad is None
        assert set(task.noted) == {"image_accuracy", "sound_accuracy"}

    def test_the_second_stage_is_the_weighted_sum(self, labelled: Feed) -> None:
        task = make_task(labelled, matching_weight=0.25, category_weight=2.0)
        for epoch in (1, 2):
            task.start_epoch(epoch)
        batch = labelled.batch(np.arange(8), 0)
        loss = task.loss(batch).item()
        parts = {name: float(total) for name, (total, _) in task.noted.items()}
        assert loss == pytest.approx(2.0 * parts["category"] + 0.25 * parts["matching"], rel=1e-5)

    def test_what_is_heard_is_the_first_stages(self, labelled: Feed) -> None:
        task = make_task(labelled, matching_weight=0.0)
        for epoch in (1, 2):
            task.start_epoch(epoch)
        batch = labelled.batch(np.arange(8), 0)
        before = task.loss(batch)
        with torch.no_grad():
            task.network.a_class_layer.bias += torch.tensor([0.0, 3.0, -3.0])
        torch.testing.assert_close(task.loss(batch), before)
        torch.autograd.backward(before)
        assert task.network.a_class_layer.weight.grad is None
        assert task.network.obj_conv.weight.grad is not None

    def test_labels_in_place_of_clusters_give_class_activations(self, labelled: Feed) -> None:
        source = labelled.source
        assert isinstance(source, ArraySource)
        feed = Feed(
            replace(source), labelled.augmentation, labelled.preprocessing, 0, Needs(labels=True)
        )
        task = make_task(feed, classes="labels", matching_epochs=0)
        for epoch in (0, 1):
            task.start_epoch(epoch)
        state = task.state()
        assert (state["targets"].numpy() == source.categories).all()
        torch.testing.assert_close(state[DICTIONARY], task.network.v_class_layer.weight.data)
        assert state[MATCHES].tolist() == [[1, 0, 0], [0, 1, 0]]

    def test_a_run_goes_on_where_it_stopped(self, labelled: Feed) -> None:
        task = make_task(labelled)
        for epoch in (1, 2):
            task.start_epoch(epoch)
        with torch.no_grad():
            task.network.conv_v_2.bias += 0.1
        other = make_task(labelled)
        other.network.load_state_dict(task.network.state_dict())
        other.load_state(task.state())
        batch = labelled.batch(np.arange(8), 0)
        assert other.loss(batch).item() == task.loss(batch).item()
        stored, again = task.extra_tensors(), other.extra_tensors()
        assert all(torch.equal(each, again[name]) for name, each in stored.items())

    def test_a_step_along_the_gradient_lowers_the_loss(self, labelled: Feed) -> None:
        task = make_task(labelled)
        for epoch in (0, 1, 2):
            task.start_epoch(epoch)
            batch = labelled.whole(np.arange(8))
            task.network.zero_grad()
            before = task.loss(batch)
            torch.autograd.backward(before)
            with torch.no_grad():
                for parameter in task.network.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(1e-3 * parameter.grad / (1e-9 + parameter.grad.norm()))
            assert task.loss(batch).item() < before.item()

    def test_validation_localizes(self, labelled: Feed) -> None:
        task = make_task(labelled)
        task.start_epoch(0)
        with torch.inference_mode():
            assert task.validate().keys() == {"loss", "cIoU@0.5", "cIoU(adaptive)@0.5"}
            maps = task.maps(labelled.whole(np.arange(4)))
            table = task.similarities(labelled.whole(np.arange(4)))
        torch.testing.assert_close(maps.amax(dim=(1, 2)), table.diagonal())


@dataclass
class Clips(TrainingData):
    """A user's data: their examples, and the names of their classes."""

    source: Source
    classes: tuple[str, ...] | None = None
    name = "clips"

    def sources(self, *_: object, **__: object) -> tuple[Source, Source]:
        return self.source, self.source


class TestPreparation:
    def prepared(self, data: TrainingData, **settings: Any) -> DSOLTask:
        baseline = load_baseline("dsol")
        recipe = changed_recipe(
            training_recipe(baseline, "synth"),
            {"image_trunk": "none", **{f"settings.{key}": each for key, each in settings.items()}},
        )
        task = prepare_task(Preparation(baseline, "synth", recipe, data, seed=0))
        assert isinstance(task, DSOLTask)
        return task

    def test_clusters_have_names_where_those_are_the_recipes(self, feed: Feed) -> None:
        names = tuple(category.name for category in World().kinds if category.capable)
        assert self.prepared(Clips(feed.source)).network.categories == names
        assert self.prepared(Clips(feed.source, names)).network.categories == names
        assert self.prepared(Clips(feed.source, ("drum", "bell"))).network.categories == ()

    def test_there_are_as_many_classes_as_labels_to_learn(self, feed: Feed) -> None:
        many = Clips(feed.source, tuple(f"class {number:02}" for number in range(20)))
        assert self.prepared(many, classes="labels").network.clusters == 20
        assert self.prepared(many).network.clusters == 16

    def test_the_gain_and_the_scale_start_where_the_recipe_says(self, feed: Feed) -> None:
        network = self.prepared(Clips(feed.source), gain=4.0, object_scale=0.5).network
        assert network.gain == 4.0
        assert network.obj_conv.weight.item() == 0.5


class TestSettings:
    def test_classifiers_learn_at_a_rate_of_their_own(self, labelled: Feed) -> None:
        rest, own = make_task(labelled, class_rate=10.0).parameter_groups()
        assert (rest.learning_rate_factor, own.learning_rate_factor) == (1.0, 10.0)
        assert sum(p.numel() for p in own.parameters) == 2 * (64 * 3 + 3)

    @pytest.mark.parametrize(
        "settings", [{"classes": "labels", "labels": False}, {"matching_epochs": 0}]
    )
    def test_contradictions(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Settings.model_validate(settings)

    def test_labels_are_read_where_they_are_needed(self) -> None:
        assert needs_of("dsol") == Needs(labels=True)
        assert needs_of("dsol", settings={"labels": False}) == Needs()
