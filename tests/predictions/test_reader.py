from __future__ import annotations

import os
import pickle
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from refusals import refused

from ssl_bench.errors import PredictionsError
from ssl_bench.files import sha256_of_file
from ssl_bench.predictions import (
    Limits,
    PredictionsMeta,
    PredictionsWriter,
    Question,
    check,
    open_predictions,
    save_predictions,
)


def test_a_file_made_by_numpy_is_read(
    tmp_path: Path, members: Callable[..., dict[str, Any]]
) -> None:
    arrays = members(
        4,
        score=np.array([0.5, 1.5, 2.5, 3.5], np.float16),
        image_embedding=np.ones((4, 2)),
        audio_embedding=np.zeros((4, 2), np.float32),
    )
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    predictions = open_predictions(tmp_path / "a.npz")
    assert predictions.trial_ids == ("t0", "t1", "t2", "t3")
    assert predictions.meta.protocol == "concat"
    assert predictions.score is not None
    assert predictions.score.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert predictions.image_embedding is not None
    assert predictions.image_embedding.dtype == np.float32
    assert predictions.audio_embedding is not None
    ((positions, maps),) = predictions.iter_maps()
    assert positions.tolist() == [0, 1, 2, 3]
    assert np.array_equal(maps, arrays["map"])


def test_what_a_file_does_not_hold_is_none(
    members: Callable[..., dict[str, Any]], zipped: Callable[..., Path]
) -> None:
    predictions = open_predictions(zipped(members()))
    assert predictions.score is predictions.image_embedding is predictions.audio_embedding is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, meta: PredictionsMeta, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, 12))
    n_maps = data.draw(st.integers(1, 12))
    side = st.integers(1, 6)
    dtype = data.draw(st.sampled_from(["float16", "float32"]))
    maps = data.draw(
        hnp.arrays(
            dtype,
            (n_maps, data.draw(side), data.draw(side)),
            elements=st.floats(-1e4, 1e4, width=16),
        )
    )
    ids = data.draw(
        st.lists(
            st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12),
            min_size=count,
            max_size=count,
            unique=True,
        )
    )
    index = data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, n_maps - 1)))
    target = tmp_path_factory.mktemp("round") / "p"
    with PredictionsWriter(target, meta, dtype=dtype) as writer:
        writer.add(ids, maps, map_index=index)

    predictions = open_predictions(target)
    chunk = data.draw(st.integers(1, 5))
    seen: dict[str, np.ndarray[Any, Any]] = {}
    for positions, block in predictions.iter_maps(chunk):
        assert 0 < len(positions) == len(block) <= chunk
        for position, heat in zip(positions, block, strict=True):
            assert predictions.trial_ids[position] not in seen
            seen[predictions.trial_ids[position]] = heat
    assert predictions.trial_ids == tuple(ids)
    assert all(np.array_equal(seen[name], maps[row]) for name, row in zip(ids, index, strict=True))
    assert all(heat.dtype == maps.dtype for heat in seen.values())


def test_a_map_index_in_any_order_is_followed(
    members: Callable[..., dict[str, Any]], zipped: Callable[..., Path]
) -> None:
    arrays = members(5, map_index=np.array([4, 0, 4, 1, 0], np.uint8))
    predictions = open_predictions(zipped(arrays))
    read = {
        predictions.trial_ids[position]: heat
        for positions, maps in predictions.iter_maps(2)
        for position, heat in zip(positions, maps, strict=True)
    }
    for i, row in enumerate([4, 0, 4, 1, 0]):
        assert np.array_equal(read[f"t{i}"], arrays["map"][row])


def test_shards_follow_each_other_by_name_and_may_differ_in_size(
    tmp_path: Path, members: Callable[..., dict[str, Any]], zipped: Callable[..., Path]
) -> None:
    late = members(2, trial_id=np.array(["x", "y"]), map=np.ones((2, 7, 7), np.float16))
    zipped(late, "shards/b.npz")
    zipped(members(2), "shards/a.npz")
    (tmp_path / "shards" / ".c.npz").write_bytes(b"still being written")
    predictions = open_predictions(tmp_path / "shards")
    assert predictions.trial_ids == ("t0", "t1", "x", "y")
    shapes = [(p.tolist(), m.shape, m.dtype.name) for p, m in predictions.iter_maps()]
    assert shapes == [([0, 1], (2, 3, 5), "float32"), ([2, 3], (2, 7, 7), "float16")]


def test_numbers_of_the_other_byte_order_are_understood(
    members: Callable[..., dict[str, Any]], zipped: Callable[..., Path]
) -> None:
    plain = members()
    swapped = members(map=plain["map"].astype(">f4"), trial_id=plain["trial_id"].astype(">U2"))
    predictions = open_predictions(zipped(swapped))
    assert predictions.trial_ids == ("t0", "t1", "t2", "t3")
    assert np.array_equal(np.concatenate([m for _, m in predictions.iter_maps()]), plain["map"])


def test_maps_of_a_few_trials_come_in_the_order_asked(
    members: Callable[..., dict[str, Any]], zipped: Callable[..., Path]
) -> None:
    arrays = members()
    maps = open_predictions(zipped(arrays)).maps_of(["t3", "t1", "t3"])
    assert list(maps) == ["t3", "t1"]
    assert np.array_equal(maps["t3"], arrays["map"][3])


def test_a_map_that_is_not_there_is_named(
    members: Callable[..., dict[str, Any]], zipped: Callable[..., Path]
) -> None:
    with refused("E_IDS_MISSING"):
        open_predictions(zipped(members())).maps_of(["t1", "t9"])


@pytest.mark.parametrize("member", ["map", "score"])
def test_a_value_that_is_not_finite_never_gets_out(
    members: Callable[..., dict[str, Any]], zipped: Callable[..., Path], member: str
) -> None:
    arrays = members(score=np.zeros(4, np.float32))
    arrays[member][2] = np.nan
    predictions = open_predictions(zipped(arrays))
    with refused("E_NOT_FINITE", where="made.npz"):
        list(predictions.iter_maps()) if member == "map" else predictions.score


def test_opening_names_all_problems_at_once(
    members: Callable[..., dict[str, Any]], zipped: Callable[..., Path]
) -> None:
    arrays = members(
        trial_id=np.array(["t0", "t0", "", "t3"]), score=np.zeros(3), about={"complete": "?"}
    )
    with refused(
        "E_IDS_DUPLICATE", "E_IDS", "E_ARRAY_SHAPE", "E_META", kind=PredictionsError
    ) as caught:
        open_predictions(zipped(arrays))
    assert isinstance(caught.value, PredictionsError)
    assert len(caught.value.problems) == 4


def test_a_file_that_shrinks_while_it_is_read_is_reported(
    members: Callable[..., dict[str, Any]], zipped: Callable[..., Path]
) -> None:
    path = zipped(members(100))
    predictions = open_predictions(path)
    path.write_bytes(path.read_bytes()[:-200])
    with refused("E_FILE_DAMAGED", where=path):
        list(predictions.iter_maps())


def test_another_process_refuses_another_file_at_the_same_path(
    tmp_path: Path, members: Callable[..., dict[str, Any]]
) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **members(4))
    opened = open_predictions(path)
    sent = pickle.dumps(opened)
    [(_, own)] = opened.iter_maps()
    [(_, arrived)] = pickle.loads(sent).iter_maps()
    assert np.array_equal(own, arrived)
    np.savez_compressed(path, **members(4, map=np.ones((4, 2, 2))))
    with refused("E_FILE_CHANGED", where=path):
        list(pickle.loads(sent).iter_maps())


def test_limits_hold_for_all_shards_together(tmp_path: Path, meta: PredictionsMeta) -> None:
    for name in ("t0", "t1"):
        save_predictions(tmp_path / "p" / f"{name}.npz", [name], np.zeros((1, 10, 10)), meta)
    assert len(open_predictions(tmp_path / "p", limits=Limits(total_bytes=4000, trials=2))) == 2
    for limits in (Limits(total_bytes=2000), Limits(trials=1), Limits(shards=1)):
        with refused("E_FILE_TOO_LARGE"):
            open_predictions(tmp_path / "p", limits=limits)


def test_memory_is_bounded_by_the_chunk(tmp_path: Path, meta: PredictionsMeta) -> None:
    with PredictionsWriter(tmp_path / "p.npz", meta) as writer:
        for start in range(0, 1000, 100):
            ids = [f"t{i}" for i in range(start, start + 100)]
            writer.add(ids, np.full((100, 128, 128), start, np.float32))
    predictions = open_predictions(tmp_path / "p.npz")
    tracemalloc.start()
    total = sum(float(maps[:, 0, 0].sum()) for _, maps in predictions.iter_maps(chunk=16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == sum(range(0, 1000, 100)) * 100
    assert peak < 8e6
    assert 8 * peak < 1000 * 128 * 128 * 4


@pytest.mark.parametrize("kind", ["pipe", "endless", "dead link", "folder", "no text"])
def test_what_is_no_shard_is_named_and_never_opened(
    kind: str, tmp_path: Path, members: Callable[..., dict[str, Any]]
) -> None:
    np.savez(tmp_path / "a.npz", **members())
    other = tmp_path / "b.npz"
    if kind == "pipe":
        os.mkfifo(other)
    elif kind == "folder":
        other.mkdir()
    elif kind == "no text":
        shutil.copy(tmp_path / "a.npz", os.fsencode(tmp_path) + b"/\xe9.npz")
    else:
        other.symlink_to("/dev/zero" if kind == "endless" else "nowhere")
    with refused("E_SHARDS"):
        open_predictions(tmp_path)


def test_a_hidden_file_is_no_shard_and_not_in_the_digest(
    tmp_path: Path, members: Callable[..., dict[str, Any]]
) -> None:
    np.savez(tmp_path / "a.npz", **members())
    digest = open_predictions(tmp_path).sha256
    (tmp_path / ".b.npz").write_text("being written")
    assert open_predictions(tmp_path).sha256 == digest
    assert open_predictions(tmp_path / "a.npz").sha256 == sha256_of_file(tmp_path / "a.npz")


def test_a_shard_whose_ending_is_in_capitals_counts(
    tmp_path: Path, members: Callable[..., dict[str, Any]]
) -> None:
    np.savez(tmp_path / "a.npz", **members(2))
    other = members(2) | {"trial_id": np.array(["t2", "t3"])}
    np.savez(tmp_path / "b.npz", **other)
    (tmp_path / "b.npz").rename(tmp_path / "b.NPZ")
    assert open_predictions(tmp_path).trial_ids == ("t0", "t1", "t2", "t3")


@pytest.mark.filterwarnings("error")
def test_a_number_beyond_single_precision_is_told_without_a_warning(
    tmp_path: Path, members: Callable[..., dict[str, Any]]
) -> None:
    score = np.array([0.0, 1.0, 1e300, 2.0])
    np.savez(tmp_path / "a.npz", **members(score=score))
    with refused("E_NOT_FINITE", where="t2"):
        check(tmp_path / "a.npz", Question(["t0", "t1", "t2", "t3"]))
    with refused("E_NOT_FINITE"):
        assert open_predictions(tmp_path / "a.npz").score is not None


def test_an_array_of_text_may_be_wider_than_its_ids(
    tmp_path: Path, members: Callable[..., dict[str, Any]]
) -> None:
    ids = np.array([f"t{number}" for number in range(4)], "U256")
    np.savez(tmp_path / "a.npz", **members(trial_id=ids))
    assert open_predictions(tmp_path / "a.npz").trial_ids == ("t0", "t1", "t2", "t3")
