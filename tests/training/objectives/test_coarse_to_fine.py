"""The objective of coarse to fine: its terms by hand, the authors' numbers, and its two stages."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ssl_bench.models.coarse_to_fine import CoarseToFineArchitecture, CoarseToFineNetwork
from ssl_bench.models.resnet import SMALL_TRUNK
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Feed
from ssl_bench.training.objectives import needs_of
from ssl_bench.training.objectives.coarse_to_fine import (
    NEEDS,
    CoarseToFineTask,
    Settings,
    alignment_loss,
    correspondence_loss,
    label_loss,
)

VECTORS = Path(__file__).parents[2] / "models" / "vectors" / "coarse-to-fine.npz"


@pytest.fixture
def labelled(feed: Feed) -> Feed:
    return Feed(feed.source, feed.augmentation, feed.preprocessing, feed.seed, NEEDS({}))


def _task(feed: Feed, **settings: object) -> CoarseToFineTask:
    torch.manual_seed(0)
    shape = CoarseToFineArchitecture(
        trunk=SMALL_TRUNK, classes=2, matching=8, hidden=16, dimension=8
    )
    chosen = Settings.model_validate(settings)
    network = CoarseToFineNetwork(shape, fine=chosen.fine)
    task = CoarseToFineTask(network.eval(), feed, feed, chosen)
    task.start_epoch(0)
    return task


def test_pairs_and_others_count_the_same() -> None:
    logits = torch.zeros(3, 3, 2)
    logits[1, 1, 1] = 2.0
    logits[0, 2, 0] = 1.0
    pairs = (2 * math.log(2) + math.log(1 + math.exp(-2))) / 3
    others = (5 * math.log(2) + math.log(1 + math.exp(-1))) / 6
    assert correspondence_loss(logits).item() == pytest.approx((pairs + others) / 2)


def test_labels_count_where_they_are_known() -> None:
    logits = torch.tensor([[1.0, -2.0], [30.0, -30.0]])
    one = (math.log(1 + math.exp(1.0)) + math.log(1 + math.exp(2.0))) / 2
    assert label_loss(logits, torch.tensor([1, -1])).item() == pytest.approx(one)


def test_without_labels_nothing_is_learned_of_classes() -> None:
    logits = torch.ones(2, 3, requires_grad=True)
    loss = label_loss(logits, torch.tensor([-1, -1]))
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_vectors_of_classes_that_are_not_heard_and_seen_do_not_count() -> None:
    vectors = torch.tensor([[[1.0], [0.0]], [[0.6], [0.8]]])
    sure = torch.ones(2, 1)
    # Both pairs are alike; the two others are at the root of 2 - 2 * 0.6.
    apart = max(0.0, 1.4 - math.sqrt(0.8)) ** 2
    assert alignment_loss(vectors, vectors, sure, sure).item() == pytest.approx(apart, rel=1e-4)
    one = torch.tensor([[0.9], [0.2]])
    assert alignment_loss(vectors, vectors, sure, one).item() == pytest.approx(apart, rel=1e-4)
    assert alignment_loss(vectors, vectors, one, one).item() == pytest.approx(0, abs=1e-6)
    none = torch.full((2, 1), 0.3)
    assert alignment_loss(vectors, vectors, none, none).item() == 0


def test_the_distances_and_what_counts_are_those_of_the_authors_code() -> None:
    with np.load(VECTORS) as content:
        found = {name: torch.from_numpy(content[name]) for name in content if name != "keys"}
    heard, seen = found["class_a"].sigmoid(), found["class_v"].sigmoid()
    counted, distances = found["align_effective"], 2 - 2 * found["align_similarity"]
    own = torch.eye(len(distances))
    pulled = (distances * counted * own).sum() / (counted * own).sum()
    far = counted * (1 - own)
    pushed = ((1.4 - distances.sqrt()).relu() ** 2 * far).sum() / far.sum()
    loss = alignment_loss(found["fine_a"], found["align_v"], heard, seen)
    assert 0 < counted.sum() < counted.numel()
    assert loss.item() == pytest.approx((pulled + pushed).item(), rel=1e-4)


def test_equal_vectors_have_a_finite_gradient() -> None:
    vectors = torch.nn.functional.normalize(torch.ones(3, 4, 2), dim=1).requires_grad_()
    sure = torch.ones(3, 2)
    torch.autograd.backward(alignment_loss(vectors, vectors.detach(), sure, sure))
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()


def test_the_second_stage_follows_the_first(labelled: Feed) -> None:
    task = _task(labelled, coarse_epochs=1)
    batch = labelled.batch(np.arange(8), 0)
    first = task.loss(batch).item()
    images, sounds = task.network.see(batch["images"]), task.network.hear(batch["sounds"])
    before = task.maps(batch)
    task.start_epoch(1)
    added = alignment_loss(
        task.network.project_classes(sounds),
        task.network.project_seen_classes(images),
        sounds.logits.sigmoid(),
        images.logits.sigmoid(),
    )
    assert task.loss(batch).item() == pytest.approx(first + added.item(), rel=1e-4)
    assert (task.maps(batch) - before).abs().max() > 1e-3


def test_activations_are_not_learned_through_the_vectors_of_classes(labelled: Feed) -> None:
    task = _task(labelled)
    heard = task.network.hear(labelled.whole_sounds(np.arange(2)))
    torch.autograd.backward(task.network.project_classes(heard).sum())
    assert task.network.class_a.weight.grad is None


def test_pairs_alone_need_no_labels(labelled: Feed) -> None:
    task = _task(labelled, labels=False, fine=False)
    batch = labelled.batch(np.arange(8), 0)
    expected = task.loss(batch).item()
    batch["labels"] = torch.zeros(8, dtype=torch.int64)
    assert task.loss(batch).item() == expected
    assert task.maps(batch).shape == (8, 2, 2)
    torch.autograd.backward(task.loss(batch))
    assert task.network.class_v.weight.grad is None


def test_the_second_stage_without_labels_is_refused() -> None:
    with pytest.raises(ValidationError, match="fine needs labels"):
        Settings(labels=False)


def test_a_step_along_the_gradient_lowers_the_loss(labelled: Feed) -> None:
    task = _task(labelled)
    batch = labelled.whole(np.arange(8))
    before = task.loss(batch)
    torch.autograd.backward(before)
    with torch.no_grad():
        for parameter in task.network.parameters():
            if parameter.grad is not None:
                parameter.sub_(1e-3 * parameter.grad / (1e-9 + parameter.grad.norm()))
    assert task.loss(batch).item() < before.item()


def test_validation_localizes(labelled: Feed) -> None:
    task = _task(labelled)
    with torch.inference_mode():
        assert task.validate().keys() == {"loss", "cIoU@0.5", "cIoU(adaptive)@0.5"}
    batch = labelled.whole(np.arange(4))
    assert task.similarities(batch).shape == (4, 4)


def test_it_reads_labels_unless_pairs_alone_are_told_apart() -> None:
    assert needs_of("coarse-to-fine") == Needs(labels=True)
    assert needs_of("coarse-to-fine", settings={"labels": False}) == Needs()
