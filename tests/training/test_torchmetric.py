"""The metric as torchmetrics knows metrics."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from refusals import refused

torchmetrics = pytest.importorskip("torchmetrics")

import torch  # noqa: E402

import ssl_bench  # noqa: E402
from ssl_bench import Metric, TorchMetric  # noqa: E402
from ssl_bench.errors import ArrayError, MeasureError  # noqa: E402

TEXTS = ("cIoU@0.5", "max-F", "IIoU@0.3", "precision-all@0.3")


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    generator = np.random.default_rng(seed)
    truths = np.zeros((5, 16, 16), bool)
    truths[:, 3 : 10 + seed, :9] = True
    facts = {
        "images": [f"Bild {(seed + number) % 4} é" for number in range(5)],
        "sounding": torch.tensor([True, True, False, True, True]),
        "ids": [f"{seed}-{number}" for number in range(5)],
    }
    return torch.from_numpy(generator.random((5, 6, 6))).float(), torch.from_numpy(truths), facts


def plain(*seeds: int) -> dict[str, float]:
    metric = Metric(*TEXTS)
    for seed in seeds:
        maps, truths, facts = batch(seed)
        metric.update(maps, truths, **facts)
    return {name: float(value) for name, value in metric.compute().items()}


def numbers(values: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in values.items()}


@pytest.fixture
def metric() -> TorchMetric:
    return TorchMetric(*TEXTS)


def test_it_computes_what_the_metric_does(metric: TorchMetric) -> None:
    assert isinstance(metric, torchmetrics.Metric)
    for seed in (0, 1):
        maps, truths, facts = batch(seed)
        metric.update(maps.requires_grad_(), truths, **facts)
    assert numbers(metric.compute()) == plain(0, 1)
    assert metric.update_count == 2
    metric.reset()
    maps, truths, facts = batch(2)
    metric.update(maps, truths, **facts)
    assert numbers(metric.compute()) == plain(2)


def test_a_call_gives_the_batch_and_adds_it(metric: TorchMetric) -> None:
    for seed in (0, 1):
        maps, truths, facts = batch(seed)
        assert numbers(metric(maps, truths, **facts)) == plain(seed)
    assert numbers(metric.compute()) == plain(0, 1)


def test_a_copy_and_a_collection_go_on(metric: TorchMetric) -> None:
    maps, truths, facts = batch(0)
    metric.update(maps, truths, **facts)
    for other in (metric.clone(), pickle.loads(pickle.dumps(metric))):
        again, further, named = batch(1)
        other.update(again, further, **named)
        assert numbers(other.compute()) == plain(0, 1)
    one, two = TorchMetric("AUC"), TorchMetric("cIoU@0.5", dialect="ezvsl")
    wide = truths.repeat_interleave(14, 1).repeat_interleave(14, 2)
    both = torchmetrics.MetricCollection({"ours": one, "theirs": two}, compute_groups=False)
    both.update(maps, wide)
    assert set(both.compute()) == {"AUC", "cIoU@0.5"}


def test_states_are_merged(metric: TorchMetric) -> None:
    other = TorchMetric(*TEXTS)
    for target, seed in ((metric, 0), (other, 1)):
        maps, truths, facts = batch(seed)
        target.update(maps, truths, **facts)
    metric.merge_state(other)
    assert numbers(metric.compute()) == plain(0, 1)


def test_half_precision_is_read(metric: TorchMetric) -> None:
    maps, truths, facts = batch(0)
    metric.update(maps.bfloat16(), truths.half(), **facts)
    expected = Metric(*TEXTS)
    expected.update(maps.bfloat16().float(), truths, **facts)
    assert numbers(metric.compute()) == expected.compute()


def test_it_is_drawn(metric: TorchMetric) -> None:
    maps, truths, facts = batch(0)
    value = metric(maps, truths, **facts)
    for drawn in (metric.plot(), metric.plot(value), metric.plot([value, value])):
        assert drawn[1].lines
    assert metric.higher_is_better is True
    assert metric.is_differentiable is False


def test_what_cannot_be_is_refused(metric: TorchMetric) -> None:
    with refused("E_MEASURE_UNKNOWN", kind=MeasureError):
        TorchMetric("cIou@0.5")
    with pytest.warns(UserWarning, match="before"), refused("E_METRIC_EMPTY", kind=ArrayError):
        metric.compute()
    maps, truths, facts = batch(0)
    with refused("E_MAPS_COUNT", kind=ArrayError):
        metric.update(maps, truths[:2], **facts)
    with refused("E_NAME_LONG", kind=ArrayError):
        metric.update(maps, truths, **{**facts, "images": ["x" * 200] * 5})


def test_it_is_a_public_name() -> None:
    assert ssl_bench.TorchMetric is TorchMetric
