"""SSPL: the objective without negatives, by hand and against the authors' code, and its stages."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from refusals import refused
from sspl_cases import published_head, published_inputs, published_network, tiny, vectors

from ssl_bench.errors import WeightsError
from ssl_bench.models.checkpoints import save_checkpoint
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.sspl import HEAD, SOUND_CLASSES, UNUSED_ENTRIES, SSPLNetwork, place_cosines
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import EmbeddedWorld, Needs
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives import needs_of
from ssl_bench.training.objectives.sspl import (
    NEEDS,
    PredictiveHead,
    Settings,
    SSPLTask,
    TwoViewsFeed,
    attended,
    predictive_loss,
    prepare,
)
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.recipe import training_recipe


class TestFormulas:
    def test_places_weigh_from_none_to_all(self) -> None:
        visual = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]], [[[5.0, 6.0], [7.0, 8.0]]]])
        cosines = torch.tensor([[[0.1, 0.3], [0.2, 0.1]], [[-1.0, 1.0], [0.0, 0.5]]])
        found = attended(visual, cosines)
        expected = [1 * 2 + 0.5 * 3, 1 * 6 + 0.5 * 7 + 0.75 * 8]
        torch.testing.assert_close(found, torch.tensor(expected)[:, None])

    def test_a_flat_map_attends_to_nothing(self) -> None:
        assert attended(torch.ones(1, 2, 2, 2), torch.full((1, 2, 2), 0.3)).tolist() == [[0.0, 0.0]]

    def test_each_view_predicts_the_other(self) -> None:
        p1, p2 = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0]])
        z1, z2 = torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 5.0]])
        expected = -(0.8 + 1 / math.sqrt(2)) / 2
        assert predictive_loss((p1, p2), (z1, z2)).item() == pytest.approx(expected)

    def test_no_gradient_reaches_what_is_predicted(self) -> None:
        predictions = [torch.randn(3, 4, requires_grad=True) for _ in range(2)]
        projections = [torch.randn(3, 4, requires_grad=True) for _ in range(2)]
        loss = predictive_loss((predictions[0], predictions[1]), (projections[0], projections[1]))
        torch.autograd.backward(loss)
        assert all(each.grad is not None and each.grad.any() for each in predictions)
        assert all(each.grad is None for each in projections)


@pytest.mark.slow
@pytest.mark.parametrize("pcm", [True, False])
def test_loss_and_gradients_are_those_of_the_authors_code(pcm: bool) -> None:
    network, head, expected = published_network(), published_head(), vectors()
    first, second, patches = published_inputs()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    started = {key: value.clone() for key, value in head.state_dict().items()}
    network.train()
    head.train()
    heard = network.hear(patches)
    views = []
    for view in (first, second):
        visual = network.align(view, heard.features) if pcm else view
        views.append(attended(visual, place_cosines(visual, heard.audio)))
    loss = predictive_loss(*head(*views))
    torch.autograd.backward(loss)
    prefix = "" if pcm else "plain_"
    assert loss.item() == pytest.approx(float(expected[f"{prefix}loss"]), abs=2e-4)
    named = dict(network.named_parameters())
    named |= {f"{HEAD}.{name}": each for name, each in head.named_parameters()}
    norms = {name: each.grad.norm().item() for name, each in named.items() if each.grad is not None}
    assert sorted(norms) == expected[f"{prefix}gradient_names"].tolist()
    found = [norms[name] for name in sorted(norms)]
    np.testing.assert_allclose(found, expected[f"{prefix}gradients"], rtol=0.03, atol=1e-5)
    for each in (network, head):
        each.zero_grad()
    network.load_state_dict(state)
    head.load_state_dict(started)
    network.eval()


def make_task(feed: Feed, *, pcm: bool = True, **settings: Any) -> SSPLTask:
    torch.manual_seed(0)
    chosen = Settings.model_validate({"projection": 8, "bottleneck": 4, "classes": 2, **settings})
    network = SSPLNetwork(tiny(pcm=pcm))
    network.add_module(HEAD, PredictiveHead(8, chosen.projection, chosen.bottleneck))
    if chosen.sound_epochs:
        network.add_module(SOUND_CLASSES, torch.nn.Linear(8, chosen.classes))
    network.freeze(network.image_trunk)
    needs = NEEDS(settings)
    source, image = feed.source, ImagePreprocessing(side=40)
    views = TwoViewsFeed(source, Augmentation(), image, 0, needs)
    task = SSPLTask(network, views, Feed(source, Augmentation(), image, 0, needs), chosen)
    task.start_epoch(0)
    task.network.train()
    return task


class TestTask:
    def test_a_batch_has_two_views_of_each_image(self, feed: Feed) -> None:
        task = make_task(feed)
        batch = task.training_feed.batch(np.arange(4), 0)
        torch.testing.assert_close(
            batch["images_again"], task.training_feed.images(np.arange(4), 0, 1)
        )
        assert (batch["images"] - batch["images_again"]).abs().max() > 0.1

    @pytest.mark.parametrize("pcm", [True, False])
    def test_the_loss_is_that_of_what_the_sound_attends_to(self, feed: Feed, pcm: bool) -> None:
        task = make_task(feed, pcm=pcm)
        network, batch = task.network.eval(), task.training_feed.batch(np.arange(8), 0)
        with torch.inference_mode():
            heard = network.hear(batch["sounds"])
            views = [
                attended(visual, place_cosines(visual, heard.audio))
                for images in (batch["images"], batch["images_again"])
                for visual in [network.align(network.see(images), heard.features)]
            ]
            expected = predictive_loss(*network.get_submodule(HEAD)(*views))
            torch.testing.assert_close(task.loss(batch), expected)

    def test_without_another_view_the_image_is_both(self, feed: Feed) -> None:
        task = make_task(feed)
        task.network.eval()
        batch = task.validation_feed.whole(np.arange(8))
        with torch.inference_mode():
            both = task.loss({**batch, "images_again": batch["images"]})
            torch.testing.assert_close(task.validation_loss(batch), both)

    def test_the_image_network_stays_as_it_is(self, feed: Feed) -> None:
        task = make_task(feed)
        torch.autograd.backward(task.loss(task.training_feed.batch(np.arange(8), 0)))
        moved = {name for name, each in task.network.named_parameters() if each.grad is not None}
        assert not any(name.startswith("net_frame") for name in moved)
        assert {"net_sound.fc.0.weight", "net_pc.a0.0", f"{HEAD}.predictor.layer2.weight"} <= moved

    def test_maps_are_the_localizers_and_follow_the_sound(self, feed: Feed) -> None:
        task = make_task(feed)
        task.network.eval()
        batch = task.validation_feed.whole(np.arange(8))
        with torch.inference_mode():
            maps = task.maps(batch)
            assert maps.shape == (8, 10, 10)
            assert not torch.allclose(maps, task.maps({**batch, "sounds": batch["sounds"].flip(0)}))
            torch.testing.assert_close(task.similarities(batch).diagonal(), maps.amax(dim=(1, 2)))

    def test_parts_have_learning_rates_of_their_own_and_rates_of_levels_do_not_decay(
        self, feed: Feed
    ) -> None:
        factors = {"head_learning_rate_factor": 4.0, "sound_learning_rate_factor": 3.0}
        task = make_task(feed, sound_epochs=1, **factors)
        groups = task.parameter_groups()
        assert [each.learning_rate_factor for each in groups] == [1.0, 3.0, 4.0, 1.0]
        assert [each.weight_decay for each in groups] == [None, None, None, 0.0]
        assert len(groups[3].parameters) == 6
        trained = [each for each in task.network.parameters() if each.requires_grad]
        grouped = [id(each) for group in groups for each in group.parameters]
        assert len(grouped) == len(set(grouped))
        assert set(grouped) == {id(each) for each in trained}
        assert len(make_task(feed, pcm=False).parameter_groups()) == 3

    def test_a_step_along_the_gradient_lowers_the_loss(self, feed: Feed) -> None:
        task = make_task(feed)
        batch = task.training_feed.batch(np.arange(8), 0)
        before = task.loss(batch)
        torch.autograd.backward(before)
        with torch.no_grad():
            for parameter in task.network.parameters():
                if parameter.grad is not None:
                    parameter.sub_(1e-3 * parameter.grad / (1e-9 + parameter.grad.norm()))
        assert task.loss(batch).item() < before.item()


class TestSoundsFirst:
    def test_kinds_of_sounds_are_learned_before_anything_else(self, feed: Feed) -> None:
        task = make_task(feed, sound_epochs=1)
        batch = task.training_feed.batch(np.arange(8), 0)
        torch.autograd.backward(task.loss(batch))
        moved = {name for name, each in task.network.named_parameters() if each.grad is not None}
        assert {name.partition(".")[0] for name in moved} == {"net_sound", SOUND_CLASSES}
        assert not any(name.startswith("net_sound.fc") for name in moved)

    def test_then_the_sound_network_stays_as_it_is(self, feed: Feed) -> None:
        task = make_task(feed, sound_epochs=1)
        task.start_epoch(1)
        task.network.train()
        before = {key: each.clone() for key, each in task.network.net_sound.state_dict().items()}
        torch.autograd.backward(task.loss(task.training_feed.batch(np.arange(8), 1)))
        after = task.network.net_sound.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before)
        moved = {name for name, each in task.network.named_parameters() if each.grad is not None}
        heard = {name for name in moved if name.startswith("net_sound")}
        assert heard
        assert all(name.startswith("net_sound.fc") for name in heard)

    def test_labels_are_read_where_they_are_learned(self) -> None:
        assert needs_of("sspl") == Needs()
        assert needs_of("sspl", settings={"sound_epochs": 2}) == Needs(labels=True)

    def test_weights_and_learning_exclude_each_other(self) -> None:
        with pytest.raises(ValidationError, match="not both"):
            Settings(vggish="file.pth", sound_epochs=1)


class TestPrepare:
    def preparation(self, variant: str, **settings: Any) -> Preparation:
        recipe = training_recipe(load_baseline("sspl"), variant)
        changes = {"scenes": 64, "validation_scenes": 16}
        chosen = recipe.model_copy(update={**changes, "settings": {**recipe.settings, **settings}})
        return Preparation(load_baseline("sspl"), variant, chosen, EmbeddedWorld(), 0)

    @pytest.mark.slow
    @pytest.mark.parametrize("variant", ["synth", "synth-without-pcm"])
    def test_all_that_training_adds_is_known_to_the_localizer(self, variant: str) -> None:
        task = prepare(self.preparation(variant))
        added = {key for key in task.network.state_dict() if key.startswith((HEAD, SOUND_CLASSES))}
        assert added == set(UNUSED_ENTRIES)

    def test_a_file_that_is_not_vggishs_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "other.safetensors"
        save_checkpoint(path, {"features.0.weight": torch.zeros(2)})
        with refused("E_WEIGHTS_MISFIT", where=path, kind=WeightsError):
            prepare(self.preparation("synth", vggish=str(path), sound_epochs=0))

    @pytest.mark.slow
    def test_a_sound_network_that_is_given_stays_as_it_is(self, tmp_path: Path) -> None:
        learned = prepare(self.preparation("synth-without-pcm")).network.net_sound
        state = {
            key: torch.rand_like(each)
            for key, each in learned.state_dict().items()
            if each.is_floating_point() and not key.startswith("fc.")
        }
        save_checkpoint(tmp_path / "sound.safetensors", state)
        given = {"vggish": str(tmp_path / "sound.safetensors"), "sound_epochs": 0}
        task = prepare(self.preparation("synth-without-pcm", **given))
        task.start_epoch(0)
        task.network.train()
        task.loss(task.training_feed.batch(np.arange(4), 0))
        found = task.network.net_sound.state_dict()
        assert all(torch.equal(found[key], each) for key, each in state.items())
