"""A metric that is updated batch by batch."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import arrays_of
from drawn import is_blank, pixels_of
from numpy.typing import NDArray
from refusals import refused

import ssl_bench
from ssl_bench import Metric, measures
from ssl_bench.errors import ArrayError, MeasureError, ProtocolError

Batch = tuple[NDArray[np.float32], NDArray[np.bool_]]

TEXTS = ("cIoU@0.5", "cIoU(adaptive)@0.5", "AUC", "max-F", "IIoU@0.3")


def batch(seed: int, count: int = 5, side: int = 6) -> Batch:
    generator = np.random.default_rng(seed)
    truths = np.zeros((count, 16, 16), bool)
    for number, truth in enumerate(truths):
        truth[number : number + 7, :9] = True
    return generator.random((count, side, side)).astype(np.float32), truths


def images(seed: int, count: int = 5) -> list[str]:
    return [f"{(seed + number) % 4}" for number in range(count)]


def whole(*seeds: int) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[str]]:
    maps, truths = zip(*(batch(seed) for seed in seeds), strict=True)
    names = [name for seed in seeds for name in images(seed)]
    return np.concatenate(maps), np.concatenate(truths), names


def filled(*seeds: int, **settings: Any) -> Metric:
    metric = Metric(*TEXTS, **settings)
    for seed in seeds:
        metric.update(*batch(seed), images=images(seed))
    return metric


def same(one: dict[str, measures.Score], other: dict[str, measures.Score]) -> None:
    assert one == other
    for name, score in one.items():
        assert (score.interval, score.n_samples) == (other[name].interval, other[name].n_samples)


def test_batches_give_what_all_samples_at_once_give() -> None:
    metric = filled(0, 1, 2)
    found = metric.compute()
    assert list(found) == list(TEXTS)
    maps, truths, names = whole(0, 1, 2)
    expected = {
        "cIoU@0.5": measures.cIoU(maps, truths),
        "cIoU(adaptive)@0.5": measures.cIoU(maps, truths, rule="adaptive"),
        "AUC": measures.AUC(maps, truths),
        "max-F": measures.max_F(maps, truths),
        "IIoU@0.3": measures.IIoU(maps, truths, names, 0.3),
    }
    same(found, expected)
    assert (metric.update_count, metric.n_samples, metric.update_called) == (3, 15, True)
    same(metric.compute(), expected)


def test_batches_may_differ_in_the_size_of_maps() -> None:
    metric = Metric("mean-cIoU")
    for side in (3, 16):
        metric.update(*batch(side, side=side))
    rows = [measures.mean_cIoU(*batch(side, side=side)).per_sample for side in (3, 16)]
    np.testing.assert_array_equal(metric.compute()["mean-cIoU"].per_sample, np.concatenate(rows))


def test_a_call_gives_the_batch_and_adds_it() -> None:
    metric = filled(0)
    same(metric(*batch(1), images=images(1)), filled(1).compute())
    same(metric.compute(), filled(0, 1).compute())
    assert metric.update_count == 2


def test_reset_forgets() -> None:
    metric = filled(0)
    metric.reset()
    assert (metric.update_count, metric.n_samples) == (0, 0)
    with refused("E_METRIC_EMPTY", kind=ArrayError):
        metric.compute()
    metric.update(*batch(1), images=images(1))
    same(metric.compute(), filled(1).compute())


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), deepcopy])
def test_a_copy_goes_on_by_itself(copied: Any) -> None:
    metric = filled(0)
    other = copied(metric)
    same(other.compute(), metric.compute())
    other.update(*batch(1), images=images(1))
    same(other.compute(), filled(0, 1).compute())
    same(metric.compute(), filled(0).compute())


def test_states_are_merged() -> None:
    one, other = filled(0), filled(1, 2)
    one.merge_state(other)
    same(one.compute(), filled(0, 1, 2).compute())
    assert one.update_count == 3
    again = Metric(*TEXTS)
    again.merge_state(one.state)
    same(again.compute(), one.compute())
    again.merge_state(Metric(*TEXTS))
    same(again.compute(), one.compute())


def test_what_is_not_alike_is_not_merged() -> None:
    for other in (Metric("AUC"), Metric(*TEXTS, dialect="ezvsl")):
        with refused("E_METRIC_STATE", kind=ArrayError):
            filled(0).merge_state(other)
    with refused("E_METRIC_STATE", kind=ArrayError):
        filled(0).merge_state({"weights": np.zeros(3)})
    with refused("E_METRIC_STATE", kind=ArrayError):
        filled(0).update(*batch(0), images=images(0), groups=images(0))


def test_a_batch_that_is_refused_is_not_added() -> None:
    metric = filled(0)
    maps, truths = batch(1)
    for bad, code in (
        ((maps[:0], truths[:0], {}), "E_BATCH_EMPTY"),
        ((maps, truths[:3], {}), "E_MAPS_COUNT"),
        ((maps, truths, {"images": None}), "E_ARGUMENT_MISSING"),
        ((maps * np.nan, truths, {}), "E_MAP_VALUES"),
    ):
        with refused(code, kind=ArrayError):
            metric.update(*bad[:2], **{"images": images(1), **bad[2]})
    same(metric.compute(), filled(0).compute())
    assert metric.update_count == 1


def test_a_sample_that_comes_twice_counts_once() -> None:
    metric, once = Metric("mean-cIoU", "max-F"), Metric("mean-cIoU", "max-F")
    maps, truths = batch(3, 6)
    names = [f"clip {number}" for number in (4, 2, 0, 1, 3, 5)]
    for rows in (slice(0, 3), slice(3, 6), slice(1, 2)):
        metric.update(maps[rows], truths[rows], ids=names[rows])
    order = np.argsort(names)
    once.update(maps[order], truths[order])
    same(metric.compute(), once.compute())


def test_conventions_come_from_a_dialect_or_a_protocol() -> None:
    assert [str(each) for each in Metric().measures] == ["cIoU@0.5", "AUC"]
    lvs = Metric(dialect="lvs")
    assert [str(each) for each in lvs.measures] == ["cIoU@0.5", "AUC", "mean-cIoU"]
    assert "'lvs'" in repr(lvs)
    arrays = arrays_of("synth")
    lvs.update(arrays.maps, arrays.truths)
    assert lvs.compute()["mean-cIoU"] == measures.mean_cIoU(
        arrays.maps, arrays.truths, dialect="lvs"
    )
    at = Metric("F-pos-neg", protocol="negative-audio", map_threshold=0.5)
    sounding = np.arange(len(arrays.maps)) % 2 == 0
    at.update(arrays.maps, arrays.truths, sounding=sounding)
    expected = measures.F_pos_neg(arrays.maps, arrays.truths, sounding, 0.5)
    assert at.compute() == {"F-pos-neg": expected}


def test_which_way_is_better() -> None:
    assert Metric("AUC").higher_is_better is True
    assert Metric("pIA", protocol="negative-audio", map_threshold=0.5).higher_is_better is False
    assert Metric("AUC", "type-gap@0.5").higher_is_better is None
    assert Metric.is_differentiable is False


@pytest.mark.parametrize(
    ("texts", "settings", "code", "kind"),
    [
        (("cIou@0.5",), {}, "E_MEASURE_UNKNOWN", MeasureError),
        (("cIoU",), {}, "E_MEASURE_FORM", MeasureError),
        (("AUC",), {"dialect": "lsv"}, "E_DIALECT_UNKNOWN", ProtocolError),
        (("AUC",), {"protocol": "snyth"}, "E_PROTOCOL_UNKNOWN", ProtocolError),
        (("AUC",), {"protocol": "negative-audio"}, "E_THRESHOLD_RULE", ArrayError),
        (("AUC",), {"map_threshold": 0.5}, "E_MAP_THRESHOLD", ArrayError),
        (("recall(a2i)@1",), {}, "E_METRIC_STREAM", MeasureError),
        (("swap-sensitivity",), {}, "E_METRIC_STREAM", MeasureError),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    texts: tuple[str, ...], settings: dict[str, Any], code: str, kind: Any
) -> None:
    with refused(code, kind=kind):
        Metric(*texts, **settings)


def test_values_and_their_course_are_drawn() -> None:
    metric = filled(0)
    figure, axes = metric.plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == list(TEXTS)
    assert axes.get_xlabel() == "percent"
    first = axes.lines[0].get_xdata()
    assert first == pytest.approx(100 * metric.compute()["cIoU@0.5"])
    assert not is_blank(pixels_of(figure))
    course = [filled(seed).compute() for seed in (0, 1, 2)]
    figure, axes = metric.plot(course)
    assert len(axes.lines) == len(TEXTS)
    own = figure.add_subplot()
    assert metric.plot(metric.compute(), own) == (figure, own)
    with refused("E_METRIC_EMPTY", kind=ArrayError):
        metric.plot([])


PROCESS = """
import os
import sys
import torch.distributed as dist
import ssl_bench
from test_metric import filled, TEXTS, same, batch, images
from ssl_bench import Metric
other = os.fork()
rank = 0 if other else 1
dist.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=rank, world_size=2)
metric = filled(*((0, 1) if rank == 0 else (2,)))
found = metric.compute()
dist.barrier()
alone = filled(0, 1, 2, sync_on_compute=False).compute()
same(found, alone)
assert metric.n_samples == (10 if rank == 0 else 5), "the own state stays"
late = Metric(*TEXTS)
if rank == 1:
    late = filled(0)
same(late.compute(), filled(0, sync_on_compute=False).compute())
try:
    from ssl_bench import TorchMetric
except ssl_bench.SslBenchError:
    pass
else:
    import torch
    wrapped = TorchMetric(*TEXTS)
    for seed in ((0, 1) if rank == 0 else (2,)):
        wrapped.update(*map(torch.from_numpy, batch(seed)), images=images(seed))
    found = wrapped.compute()
    assert {name: value.item() for name, value in found.items()} == alone, (found, alone)
dist.destroy_process_group()
if other:
    assert os.waitpid(other, 0)[1] == 0
"""


@pytest.mark.slow
def test_two_processes_compute_over_both(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    here = Path(__file__).parent
    places = (Path(ssl_bench.__file__).parent.parent, here, here.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, str(tmp_path / "meet")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
