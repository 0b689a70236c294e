from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.predictions import (
    PredictionsMeta,
    PredictionsWriter,
    open_predictions,
    save_predictions,
)


def maps_of(count: int, height: int = 3, width: int = 4) -> np.ndarray[Any, Any]:
    return np.random.default_rng(count).random((count, height, width), dtype=np.float32)


def names(count: int, start: int = 0) -> list[str]:
    return [f"t{i}" for i in range(start, start + count)]


def test_numpy_alone_can_read_what_is_written(tmp_path: Path, meta: PredictionsMeta) -> None:
    maps = maps_of(3)
    save_predictions(tmp_path / "p.npz", names(3), maps, meta)
    with np.load(tmp_path / "p.npz", allow_pickle=False) as stored:
        assert sorted(stored.files) == ["map", "meta", "trial_id"]
        assert stored["trial_id"].tolist() == ["t0", "t1", "t2"]
        assert np.array_equal(stored["map"], maps)
        assert json.loads(stored["meta"].tobytes())["model"] == "handmade"


def test_batches_make_no_difference(tmp_path: Path, meta: PredictionsMeta) -> None:
    maps, score = maps_of(7), np.arange(7.0)
    with PredictionsWriter(tmp_path / "p", meta) as writer:
        for part in (slice(0, 1), slice(1, 5), slice(5, 5), slice(5, 7)):
            writer.add(names(7)[part], maps[part], score=score[part])
    predictions = open_predictions(tmp_path / "p")
    assert predictions.trial_ids == tuple(names(7))
    assert np.array_equal(predictions.score, score)
    assert np.array_equal(np.concatenate([m for _, m in predictions.iter_maps(2)]), maps)


def test_trials_that_share_a_map_store_it_once(tmp_path: Path, meta: PredictionsMeta) -> None:
    with PredictionsWriter(tmp_path / "p.npz", meta) as writer:
        writer.add(names(2), maps_of(2))
        writer.add(names(3, 2), maps_of(5)[3:], map_index=[1, 0, 1])
    with np.load(tmp_path / "p.npz") as stored:
        assert len(stored["map"]) == 4
        assert stored["map_index"].tolist() == [0, 1, 3, 2, 3]
    maps = open_predictions(tmp_path / "p.npz").maps_of(["t2", "t3", "t4"])
    assert np.array_equal(maps["t2"], maps["t4"])
    assert np.array_equal(maps["t3"], maps_of(5)[3])


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path, meta: PredictionsMeta) -> None:
    def written(target: Path, batch: int) -> bytes:
        with PredictionsWriter(target, meta) as writer:
            for start in range(0, 6, batch):
                part = slice(start, start + batch)
                writer.add(names(6)[part], maps_of(6)[part], score=np.arange(6.0)[part])
        return target.read_bytes()

    assert written(tmp_path / "one", 6) == written(tmp_path / "two", 1)


def test_half_precision_is_stored_where_asked(tmp_path: Path, meta: PredictionsMeta) -> None:
    save_predictions(tmp_path / "p.npz", ["t0"], maps_of(1), meta, dtype="float16")
    (_, maps), *_ = open_predictions(tmp_path / "p.npz").iter_maps()
    assert maps.dtype == np.float16
    assert np.allclose(maps, maps_of(1), atol=1e-3)


@pytest.mark.parametrize("value", [1e-8, -1e-8, 1e5])
def test_values_beyond_half_precision_are_refused(
    tmp_path: Path, meta: PredictionsMeta, value: float
) -> None:
    """Small ones would be tied at 0, and rules that rank pixels would tell no more of them."""
    maps = maps_of(1)
    maps[0, 0, 0] = value
    with refused("E_NOT_FINITE"):
        save_predictions(tmp_path / "p.npz", ["t0"], maps, meta, dtype="float16")
    save_predictions(tmp_path / "p.npz", ["t0"], maps, meta)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"maps": np.full((2, 3, 4), [[[1.0]], [[np.nan]]])}, "E_NOT_FINITE"),
    "infinite": ({"maps": np.full((2, 3, 4), np.inf)}, "E_NOT_FINITE"),
    "too large to store": ({"maps": np.full((2, 3, 4), 1e39)}, "E_NOT_FINITE"),
    "flat": ({"maps": np.zeros((2, 12))}, "E_ARRAY_SHAPE"),
    "empty": ({"maps": np.zeros((2, 0, 4))}, "E_ARRAY_SHAPE"),
    "integers": ({"maps": np.zeros((2, 3, 4), int)}, "E_ARRAY_SHAPE"),
    "one map too few": ({"maps": np.zeros((1, 3, 4))}, "E_ARRAY_SHAPE"),
    "other size": ({"maps": np.zeros((2, 4, 4))}, "E_ARRAY_SHAPE"),
    "index outside": ({"map_index": [0, 2]}, "E_MAP_INDEX"),
    "index below": ({"map_index": [0, -1]}, "E_MAP_INDEX"),
    "index too short": ({"map_index": [0]}, "E_MAP_INDEX"),
    "index not whole": ({"map_index": [0.0, 1.0]}, "E_MAP_INDEX"),
    "seen before": ({"trial_ids": ["t5", "t0"]}, "E_IDS_DUPLICATE"),
    "twice in a batch": ({"trial_ids": ["t5", "t5"]}, "E_IDS_DUPLICATE"),
    "unprintable id": ({"trial_ids": ["t5", "a\nb"]}, "E_IDS"),
    "score missing": ({"score": None}, "E_ARRAY_SHAPE"),
    "score not finite": ({"score": [0.0, np.nan]}, "E_NOT_FINITE"),
    "score misshapen": ({"score": [0.0]}, "E_ARRAY_SHAPE"),
    "embedding appears": ({"image_embedding": np.zeros((2, 8))}, "E_ARRAY_SHAPE"),
}


@pytest.mark.parametrize(("change", "code"), BROKEN.values(), ids=BROKEN.keys())
def test_output_that_breaks_the_contract_is_refused_and_leaves_nothing(
    tmp_path: Path, meta: PredictionsMeta, change: dict[str, Any], code: str
) -> None:
    arguments: dict[str, Any] = {
        "trial_ids": ["t5", "t6"],
        "maps": np.zeros((2, 3, 4)),
        "score": [0.0, 1.0],
    } | change

    def predict() -> None:
        with PredictionsWriter(tmp_path / "p.npz", meta) as writer:
            writer.add(["t0"], maps_of(1), score=[0.5])
            writer.add(**arguments)

    with refused(code, where=meta.model, kind=ModelError):
        predict()
    assert list(tmp_path.iterdir()) == []


def test_a_refused_batch_does_not_spoil_the_rest(tmp_path: Path, meta: PredictionsMeta) -> None:
    with PredictionsWriter(tmp_path / "p.npz", meta) as writer:
        writer.add(["t0"], maps_of(1))
        with pytest.raises(ModelError):
            writer.add(["t1", "t0"], maps_of(2))
        writer.add(["t1"], maps_of(1))
    assert open_predictions(tmp_path / "p.npz").trial_ids == ("t0", "t1")


def test_an_error_of_the_model_leaves_what_stood_there_before(
    tmp_path: Path, meta: PredictionsMeta
) -> None:
    target = tmp_path / "p.npz"

    def predict(trial_ids: list[str], *, interrupted: bool) -> None:
        with PredictionsWriter(target, meta) as writer:
            writer.add(trial_ids, maps_of(len(trial_ids)))
            if interrupted:
                raise KeyboardInterrupt

    predict(names(3), interrupted=False)
    with pytest.raises(KeyboardInterrupt):
        predict(["x0", "x1"], interrupted=True)
    assert open_predictions(target).trial_ids == tuple(names(3))
    assert [item.name for item in tmp_path.iterdir()] == ["p.npz"]


def test_new_predictions_replace_old_ones_whole(tmp_path: Path, meta: PredictionsMeta) -> None:
    for count in (3, 2):
        with PredictionsWriter(tmp_path / "p", meta) as writer:
            writer.add(names(count), maps_of(count))
    assert len(open_predictions(tmp_path / "p")) == 2
    assert [item.name for item in tmp_path.iterdir()] == ["p"]


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path, meta: PredictionsMeta) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with refused("E_FILE_UNWRITABLE", where=tmp_path), PredictionsWriter(tmp_path, meta):
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, meta: PredictionsMeta) -> None:
    (tmp_path / "file").write_text("")
    with (
        refused("E_FILE_UNWRITABLE", where=tmp_path / "file"),
        PredictionsWriter(tmp_path / "file" / "p.npz", meta),
    ):
        pass


def test_a_file_without_a_trial_is_not_written(tmp_path: Path, meta: PredictionsMeta) -> None:
    with (
        refused("E_NO_PREDICTIONS", kind=ModelError),
        PredictionsWriter(tmp_path / "p.npz", meta) as writer,
    ):
        writer.add([], np.zeros((0, 3, 4)))
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_maps(tmp_path: Path, meta: PredictionsMeta) -> None:
    batch = np.zeros((8, 128, 128), np.float32)
    tracemalloc.start()
    with PredictionsWriter(tmp_path / "p.npz", meta) as writer:
        for start in range(0, 400, 8):
            writer.add(names(8, start), batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 400 * batch[0].nbytes > 25e6
    assert peak < 6e6
