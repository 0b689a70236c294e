"""Iterative contrastive learning: its formulas, and a task that keeps the previous pass's model."""

from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from refusals import refused
from torch import Tensor
from torch.nn import functional

from ssl_bench.errors import ModelError
from ssl_bench.models.icl import ICLArchitecture, ICLNetwork
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.models.registry import load_localizer
from ssl_bench.models.resnet import TrunkArchitecture
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives.icl import (
    ICLTask,
    PseudoLabels,
    Settings,
    initial_loss,
    iterative_loss,
    mean_unit_features,
    pseudo_labels,
    response_map,
)
from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run import train
from ssl_bench.training.run_state import Step

seeds = st.integers(0, 1000)
few = settings(max_examples=30)


def features(seed: int, batch: int = 5, dimensions: int = 6, side: int = 3) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, dimensions, side, side, generator=generator)
    return images, torch.randn(batch, dimensions, generator=generator)


def some_labels(seed: int, batch: int = 5, *, delta_a: float = 0.3) -> PseudoLabels:
    return pseudo_labels(*features(seed + 5000, batch), delta_v=0.5, delta_a=delta_a)


def one_by_one(
    images: Tensor, sounds: Tensor, labels: PseudoLabels, tau: float, intra: bool, inter: bool
) -> float:
    """Equation 7 as it is printed, sample by sample."""
    unit, heard = functional.normalize(images, dim=1), functional.normalize(sounds, dim=1)
    batch = len(images)
    total = 0.0
    for i in range(batch):
        inside = unit[i][:, labels.sounding[i]].mean(dim=1)
        outside = unit[i][:, labels.silent[i]].mean(dim=1)
        numerator = denominator = 0.0
        for j in range(batch):
            positive = math.exp(float(inside @ heard[j]) / tau)
            if j == i or (inter and bool(labels.related[i, j])):
                numerator += positive
            denominator += positive
            if intra:
                denominator += math.exp(float(outside @ heard[j]) / tau)
        total -= math.log(numerator / denominator)
    return total / batch


class TestInitialStage:
    def test_two_pairs_by_hand(self) -> None:
        # Image 0 points at sound 0 with one of two locations: phi . a is 1/2 for both sounds.
        images = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [3.0, 7.0]]])[:, :, None]
        expected = (math.log(2) + math.log(1 + math.exp(-1 / 0.5))) / 2
        found = initial_loss(images, torch.eye(2), 0.5).item()
        assert found == pytest.approx(expected, rel=1e-6)

    def test_only_images_choose(self) -> None:
        # Both images suit sound 0. Sounds choosing images would add ln 2 for each.
        images = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).reshape(2, 2, 1, 1)
        expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 2
        assert initial_loss(images, torch.eye(2), 1.0).item() == pytest.approx(expected, rel=1e-6)

    @few
    @given(seed=seeds, batch=st.integers(2, 6))
    def test_the_score_is_the_mean_cosine_over_locations(self, seed: int, batch: int) -> None:
        images, sounds = features(seed, batch)
        cosines = torch.einsum(
            "bdhw,md->bmhw", functional.normalize(images, dim=1), functional.normalize(sounds)
        )
        scores = mean_unit_features(images) @ functional.normalize(sounds).T
        assert torch.allclose(scores, cosines.mean(dim=(2, 3)), atol=1e-6)

    @few
    @given(batch=st.integers(2, 9), tau=st.floats(0.02, 2))
    def test_equal_features_give_the_logarithm_of_the_batch(self, batch: int, tau: float) -> None:
        loss = initial_loss(torch.ones(batch, 4, 2, 2), torch.ones(batch, 4), tau)
        assert loss.item() == pytest.approx(math.log(batch), rel=1e-5)


class TestPseudoLabels:
    def test_responses_span_zero_to_one(self) -> None:
        responses = response_map(*features(1))
        assert responses.amin(dim=(1, 2)).tolist() == [0.0] * 5
        assert responses.amax(dim=(1, 2)).tolist() == [1.0] * 5

    def test_a_map_without_contrast_stays_as_it_is(self) -> None:
        responses = response_map(torch.ones(1, 2, 2, 2), torch.tensor([[1.0, 0.0]]))
        assert responses.flatten().tolist() == pytest.approx([math.sqrt(0.5)] * 4)

    @few
    @given(seed=seeds)
    def test_threshold_zero_covers_every_cell_but_the_lowest(self, seed: int) -> None:
        images, sounds = features(seed)
        labels = pseudo_labels(images, sounds, delta_v=0, delta_a=0.9)
        lowest = response_map(images, sounds) == 0
        assert torch.equal(labels.sounding, ~lowest)
        assert (lowest.sum(dim=(1, 2)) == 1).all()
        assert not labels.silent.any()

    @few
    @given(seed=seeds, delta_v=st.floats(0, 1))
    def test_no_cell_is_both_sounding_and_silent(self, seed: int, delta_v: float) -> None:
        labels = pseudo_labels(*features(seed), delta_v=delta_v, delta_a=0.9)
        assert not (labels.sounding & labels.silent).any()

    @few
    @given(seed=seeds, delta_a=st.floats(0, 1))
    def test_relation_is_symmetric_with_a_unit_diagonal(self, seed: int, delta_a: float) -> None:
        related = pseudo_labels(*features(seed), delta_v=0.5, delta_a=delta_a).related
        assert torch.equal(related, related.T)
        assert related.diagonal().all()

    def test_sounds_are_related_from_the_threshold_on(self) -> None:
        images = torch.ones(3, 2, 1, 1)
        sounds = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        related = pseudo_labels(images, sounds, delta_v=0.5, delta_a=0.7).related
        assert related.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
        assert pseudo_labels(images, sounds, delta_v=0.5, delta_a=0.0).related.all()

    def test_a_lower_threshold_relates_more(self) -> None:
        counts = [
            int(pseudo_labels(*features(3, 30), delta_v=0.5, delta_a=delta_a).related.sum())
            for delta_a in (0.9, 0.5, 0.1, 0.0)
        ]
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]


class TestIterations:
    @pytest.mark.parametrize("intra", [False, True])
    @pytest.mark.parametrize("inter", [False, True])
    @pytest.mark.parametrize("seed", range(4))
    def test_it_is_equation_seven(self, seed: int, intra: bool, inter: bool) -> None:
        images, sounds = features(seed)
        labels = some_labels(seed)
        assert labels.related.sum() > 5  # so that inter changes something
        found = iterative_loss(images, sounds, labels, 0.3, intra=intra, inter=inter).item()
        expected = one_by_one(images, sounds, labels, 0.3, intra, inter)
        assert found == pytest.approx(expected, rel=1e-4)

    @few
    @given(seed=seeds)
    def test_without_both_terms_it_is_the_initial_objective_on_sounding_cells(
        self, seed: int
    ) -> None:
        images, sounds = features(seed)
        labels = some_labels(seed)
        unit = functional.normalize(images, dim=1)
        sounding = torch.stack(
            [
                image[:, cells].mean(dim=1)
                for image, cells in zip(unit, labels.sounding, strict=True)
            ]
        )
        logits = sounding @ functional.normalize(sounds).T / 0.1
        expected = functional.cross_entropy(logits, torch.arange(5))
        found = iterative_loss(images, sounds, labels, 0.1, intra=False, inter=False)
        assert torch.allclose(found, expected, atol=1e-4)

    @few
    @given(seed=seeds)
    def test_with_every_cell_sounding_it_is_the_initial_objective(self, seed: int) -> None:
        images, sounds = features(seed)
        every = torch.ones(5, 3, 3, dtype=torch.bool)
        labels = PseudoLabels(every, ~every, torch.eye(5, dtype=torch.bool))
        expected = initial_loss(images, sounds, 0.1)
        assert torch.allclose(iterative_loss(images, sounds, labels, 0.1), expected, atol=1e-4)

    @few
    @given(seed=seeds)
    def test_where_no_cell_sounds_the_whole_image_stands_in(self, seed: int) -> None:
        images, sounds = features(seed)
        none = torch.zeros(5, 3, 3, dtype=torch.bool)
        labels = PseudoLabels(none, none, torch.eye(5, dtype=torch.bool))
        expected = initial_loss(images, sounds, 0.1)
        assert torch.allclose(iterative_loss(images, sounds, labels, 0.1), expected, atol=1e-4)

    @few
    @given(seed=seeds)
    def test_intra_adds_negatives_and_inter_adds_positives(self, seed: int) -> None:
        images, sounds = features(seed)
        labels = some_labels(seed, delta_a=0.0)

        def loss(intra: bool, inter: bool) -> float:
            return iterative_loss(images, sounds, labels, 0.2, intra=intra, inter=inter).item()

        assert loss(True, False) > loss(False, False) > loss(False, True) >= -1e-6
        assert loss(True, True) > loss(False, True)

    def test_relating_everything_leaves_nothing_to_learn_from_other_sounds(self) -> None:
        images, sounds = features(7)
        images.requires_grad_()
        sounds.requires_grad_()
        labels = some_labels(7, delta_a=-1.0)
        loss = iterative_loss(images, sounds, labels, 0.1, intra=False)
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-6)
        assert images.grad is not None
        assert images.grad.abs().max().item() < 1e-6

    @few
    @given(seed=seeds, data=st.data())
    def test_order_of_the_pairs_does_not_matter(self, seed: int, data: st.DataObject) -> None:
        images, sounds = features(seed)
        labels = some_labels(seed)
        order = torch.tensor(data.draw(st.permutations(range(5))))
        moved = PseudoLabels(
            labels.sounding[order], labels.silent[order], labels.related[order][:, order]
        )
        expected = iterative_loss(images, sounds, labels, 0.1)
        found = iterative_loss(images[order], sounds[order], moved, 0.1)
        assert torch.allclose(found, expected, atol=1e-4)

    @few
    @given(seed=seeds, scale=st.floats(0.1, 10))
    def test_length_of_the_features_does_not_matter(self, seed: int, scale: float) -> None:
        images, sounds = features(seed)
        labels = some_labels(seed)
        expected = iterative_loss(images, sounds, labels, 0.2)
        found = iterative_loss(images * scale, sounds / scale, labels, 0.2)
        assert torch.allclose(found, expected, atol=1e-4)

    def test_cells_at_the_threshold_receive_no_gradient(self) -> None:
        images, sounds = features(8)
        images.requires_grad_()
        labels = some_labels(8)
        left_out = torch.zeros_like(labels.sounding)
        left_out[:, 0] = True
        cut = PseudoLabels(labels.sounding & ~left_out, labels.silent & ~left_out, labels.related)
        iterative_loss(images, sounds, cut, 0.1).backward()
        assert images.grad is not None
        assert (images.grad.abs().sum(dim=1)[left_out] == 0).all()
        assert (images.grad.abs().sum(dim=1)[~left_out] > 0).all()


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
    feed = Feed(Noise(), Augmentation(), preprocessing, seed)
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


@pytest.mark.slow
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
    bank = task.extra_tensors()["sound_bank"]
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


@pytest.mark.slow
def test_training_gives_a_localizer(tmp_path: Path) -> None:
    record = train("icl", out=tmp_path / "iterating", recipe=quick())
    model = load_localizer("icl", weights=tmp_path / "iterating" / "synth.safetensors")
    images = model.encode_image([np.zeros((128, 128, 3), np.uint8)])
    assert model.vision_only(images).shape == (1, 14, 14)
    initial = train("icl", out=tmp_path / "initial", recipe=quick(initial_epochs=2))
    steps = 3
    assert record.losses[:steps] == initial.losses[:steps]
    assert record.losses[steps] != initial.losses[steps]
    # The record tells which share of pairs and places the pseudo-labels of each pass took.
    assert [bool(epoch.training) for epoch in record.epochs] == [False, True]
    assert set(record.epochs[1].training) == {"related_share", "sounding_share"}
    assert all(0 <= share <= 1 for share in record.epochs[1].training.values())


@pytest.mark.slow
def test_an_interrupted_run_resumes_to_the_very_same_weights(tmp_path: Path) -> None:
    """Interrupted as the first pass that iterates begins, and within the last one."""
    recipe = quick().model_copy(update={"epochs": 3})
    whole = train("icl", out=tmp_path / "whole", recipe=recipe)
    for last in (4, 8):
        with pytest.raises(KeyboardInterrupt):
            train(
                "icl",
                out=tmp_path / "resumed",
                recipe=recipe,
                save_every=1,
                progress=partial(interrupt, last),
            )
    resumed = train("icl", out=tmp_path / "resumed", recipe=recipe)
    assert resumed.epochs == whole.epochs
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
    with refused(kind=ModelError, where="settings of icl"):
        train("icl", out=tmp_path / "out", recipe=quick(**{name: value}))
    assert list(tmp_path.iterdir()) == []
