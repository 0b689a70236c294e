"""Training by iterative contrastive learning: when it iterates, and on whose pseudo-labels."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_bench.errors import ModelError
from ssl_bench.models.icl import ICLArchitecture, ICLNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.resnet import TrunkArchitecture
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.feeds import AudioVisualFeed
from ssl_bench.training.objectives.icl import initial_loss, iterative_loss, pseudo_labels
from ssl_bench.training.progress import Step
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run import train
from ssl_bench.training.tasks.icl import ICLTask, Settings

TINY = TrunkArchitecture(width=4, blocks=(1, 1), strides=(2, 2), stem_kernel=3, shortcut="pooled")
SETTINGS = Settings(tau=0.1, initial_epochs=2, delta_v=0.5, delta_a=0.9, sound_bank_per_category=2)
ROWS = np.arange(6)


class Noise:
    """Invented examples of three categories."""

    ids = tuple(f"clip-{row}" for row in range(12))
    digest = "noise"
    categories = np.arange(12) % 3
    has_truth = True

    def image(self, row: int) -> NDArray[np.uint8]:
        return np.random.default_rng([row, 0]).integers(0, 256, (40, 50, 3), np.uint8)

    def sound(self, row: int, shift: float = 0.0) -> NDArray[np.float32]:
        return np.random.default_rng([row, 1]).normal(size=(1, 16, 20)).astype(np.float32)

    def truth(self, row: int) -> NDArray[np.float32]:
        return np.eye(40, dtype=np.float32)


def make_task(seed: int = 0, settings: Settings = SETTINGS) -> ICLTask:
    torch.manual_seed(seed)
    preprocessing = ImagePreprocessing(side=32)
    feed = AudioVisualFeed(Noise(), Augmentation(), preprocessing, seed)
    return ICLTask(ICLNetwork(ICLArchitecture(trunk=TINY)), feed, feed, settings)


def encoded(network: ICLNetwork, task: ICLTask, epoch: int) -> tuple[Tensor, Tensor]:
    batch = task.training_feed.batch(ROWS, epoch)
    return network.encode_images(batch["images"]), network.encode_sounds(batch["sounds"])


def step(task: ICLTask, epoch: int) -> None:
    """One large step, which changes weights and running statistics."""
    optimizer = torch.optim.SGD(task.network.parameters(), lr=1.0)
    loss = task.loss(task.training_feed.batch(ROWS, epoch))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def test_the_first_passes_have_the_initial_objective() -> None:
    task = make_task()
    for epoch in (0, 1):
        task.start_epoch(epoch)
        found = task.loss(task.training_feed.batch(ROWS, epoch))
        assert torch.equal(found, initial_loss(*encoded(task.network, task, epoch), 0.1))
        step(task, epoch)


@pytest.mark.parametrize(("intra", "inter"), [(False, False), (True, False), (True, True)])
def test_later_passes_take_the_pseudo_labels_of_the_model_at_the_end_of_the_pass_before(
    intra: bool, inter: bool
) -> None:
    task = make_task(settings=SETTINGS.model_copy(update={"intra": intra, "inter": inter}))
    step(task, 1)
    before = copy.deepcopy(task.network).eval()
    task.start_epoch(2)
    step(task, 2)
    step(task, 2)
    found = task.loss(task.training_feed.batch(ROWS, 2))
    with torch.no_grad():
        labels = pseudo_labels(*encoded(before, task, 2), delta_v=0.5, delta_a=0.9)
    now = encoded(task.network, task, 2)
    assert torch.equal(found, iterative_loss(*now, labels, 0.1, intra=intra, inter=inter))
    with torch.no_grad():
        current = pseudo_labels(*now, delta_v=0.5, delta_a=0.9)
    assert not torch.equal(labels.sounding, current.sounding)


def test_each_pass_has_a_new_previous_model() -> None:
    task = make_task()
    states = []
    for epoch in (2, 3):
        task.start_epoch(epoch)
        states.append(dict(task.state()))
        step(task, epoch)
    key = "imgnet.conv1.weight"
    assert not torch.equal(states[0][key], states[1][key])


def test_the_previous_model_is_frozen() -> None:
    task = make_task()
    task.start_epoch(2)
    before = {key: value.clone() for key, value in task.state().items()}
    for _ in range(3):
        step(task, 2)
    assert all(torch.equal(value, before[key]) for key, value in task.state().items())
    assert set(before) == set(task.network.state_dict())
    trained = dict(task.network.named_parameters())
    assert sum(len(group.parameters) for group in task.parameter_groups()) == len(trained)


def test_an_interrupted_pass_goes_on_with_its_pseudo_labels() -> None:
    task = make_task()
    task.start_epoch(2)
    step(task, 2)
    network, state = copy.deepcopy(task.network.state_dict()), copy.deepcopy(dict(task.state()))
    resumed = make_task(seed=5)
    resumed.network.load_state_dict(network)
    resumed.start_epoch(2)
    resumed.load_state(state)
    batch = task.training_feed.batch(ROWS, 2)
    assert torch.equal(resumed.loss(batch), task.loss(batch))


def test_an_initial_pass_has_nothing_to_resume() -> None:
    task = make_task()
    task.start_epoch(1)
    assert task.state() == {}
    batch = task.training_feed.batch(ROWS, 1)
    expected = task.loss(batch)
    task.start_epoch(2)
    task.load_state({})
    assert torch.equal(task.loss(batch), expected)


def test_figures_of_all_passes_can_be_compared() -> None:
    task = make_task()
    task.network.eval()
    with torch.inference_mode():
        initial = dict(task.validate())
        task.start_epoch(2)
        assert task.validate() == initial
    assert set(initial) == {"loss", "cIoU@0.5", "cIoU(adaptive)@0.5"}


def test_maps_and_similarities_are_those_of_the_localizer() -> None:
    task = make_task()
    task.network.eval()
    batch = task.training_feed.whole(ROWS)
    images = task.network.encode_images(batch["images"])
    sounds = task.network.encode_sounds(batch["sounds"])
    maps, pairs = task.maps(batch), task.similarities(batch)
    for i in range(len(ROWS)):
        assert torch.allclose(maps[i], torch.einsum("dhw,d->hw", images[i], sounds[i]), atol=1e-6)
        assert torch.allclose(pairs[i, i], maps[i].mean(), atol=1e-6)


def test_a_few_sounds_of_each_category_travel_with_the_weights() -> None:
    task = make_task()
    task.network.eval()
    bank = task.companions()["sound_bank"]
    assert bank.shape == (6, TINY.channels)
    torch.testing.assert_close(bank.norm(dim=1), torch.ones(6))


def quick(**settings: Any) -> TrainingRecipe:
    return TrainingRecipe(
        objective="icl",
        scenes=48,
        validation_scenes=8,
        epochs=2,
        batch=16,
        peak_learning_rate=4e-3,
        settings={"tau": 0.07, "initial_epochs": 1, "delta_v": 0.5, "delta_a": 0.9, **settings},
    )


def test_training_gives_a_localizer(tmp_path: Path) -> None:
    record = train("icl", out=tmp_path / "iterating", recipe=quick())
    model = load_localizer("icl", weights=tmp_path / "iterating" / "synth.safetensors")
    images = model.encode_image([np.zeros((128, 128, 3), np.uint8)])
    assert model.vision_only(images).shape == (1, 14, 14)
    initial = train("icl", out=tmp_path / "initial", recipe=quick(initial_epochs=2))
    steps = 3
    assert record.losses[:steps] == initial.losses[:steps]
    assert record.losses[steps] != initial.losses[steps]


def test_an_interrupted_run_goes_on_to_the_very_same_weights(tmp_path: Path) -> None:
    """Interrupted as the first pass that iterates begins, and within the last one."""
    recipe = quick().model_copy(update={"epochs": 3})
    train("icl", out=tmp_path / "whole", recipe=recipe)
    for last in (4, 8):
        with pytest.raises(KeyboardInterrupt):
            train(
                "icl",
                out=tmp_path / "resumed",
                recipe=recipe,
                save_every=1,
                progress=partial(interrupt, last),
            )
    train("icl", out=tmp_path / "resumed", recipe=recipe)
    weights = [tmp_path / name / "synth.safetensors" for name in ("whole", "resumed")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def interrupt(last: int, step: Step) -> None:
    if step.stage == "training" and step.done == last:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "value"),
    [("tau", 0), ("initial_epochs", 0), ("delta_v", 1.5), ("delta_a", -0.1), ("speed", 1)],
)
def test_settings_out_of_range_are_refused(name: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"settings of icl.*{name}"):
        train("icl", out=tmp_path / "out", recipe=quick(**{name: value}))
    assert list(tmp_path.iterdir()) == []
