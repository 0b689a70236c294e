"""Files for retrieval: similarities or embeddings in place of maps."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from predicted import codes_of
from refusals import refused

from ssl_bench.errors import ModelError
from ssl_bench.predictions import (
    PredictionsMeta,
    PredictionsWriter,
    Question,
    check,
    open_predictions,
)

META = PredictionsMeta(
    protocol="retrieval@synth",
    protocol_digest="0" * 64,
    test_set="synth",
    test_set_digest="1" * 64,
    model="mine",
    complete=True,
)
IDS = ["t0", "t1", "t2", "t3"]
SQUARE = np.arange(16, dtype=np.float32).reshape(4, 4)


def saved(path: Path, arrays: Mapping[str, Any], ids: list[str] | None = None) -> Path:
    meta = np.frombuffer(json.dumps(META.model_dump()).encode(), np.uint8)
    np.savez_compressed(path, trial_id=np.array(ids or IDS), meta=meta, **arrays)
    return path


def found(path: Path, answers: Any = "retrieval") -> list[str]:
    return codes_of(path, answers=answers)


def embeddings(width: int = 3, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    one = {"image_embedding": rng.random((4, width)), "audio_embedding": rng.random((4, width))}
    return {**one, **changes}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_similarities_need_no_map(tmp_path: Path, dtype: type) -> None:
    path = saved(tmp_path / "p.npz", {"similarity": SQUARE.astype(dtype)})
    assert found(path) == []
    predictions = open_predictions(path)
    blocks = list(predictions.iter_similarity(chunk=3))
    assert [positions.tolist() for positions, _ in blocks] == [[0, 1, 2], [3]]
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), SQUARE)
    with refused("E_MEMBERS", where=path):
        next(predictions.iter_maps())


def test_embeddings_need_no_map(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.npz", embeddings())
    assert found(path) == []
    with refused("E_MEMBERS", where=path):
        next(open_predictions(path).iter_similarity())


def test_one_embedding_is_not_enough(tmp_path: Path) -> None:
    given = embeddings()
    del given["audio_embedding"]
    (code,) = found(saved(tmp_path / "p.npz", given))
    assert code == "E_MEMBERS"


def test_files_for_retrieval_do_not_answer_other_protocols(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.npz", {"similarity": SQUARE})
    assert found(path, "maps") == ["E_MEMBERS"]
    both = saved(tmp_path / "q.npz", {"similarity": SQUARE, "map": np.zeros((4, 2, 2), "f4")})
    assert found(both, "maps") == ["E_MEMBERS"]


def test_maps_do_not_answer_retrieval(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.npz", {"map": np.zeros((4, 2, 2), "f4")})
    assert found(path) == ["E_MEMBERS"]
    assert found(path, "maps") == []


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [
        (SQUARE[:3], "E_ARRAY_SHAPE"),
        (SQUARE[:, :3], "E_ARRAY_SHAPE"),
        (SQUARE.astype(np.float64), "E_ARRAY_TYPE"),
        (SQUARE.astype(np.int32), "E_ARRAY_TYPE"),
        (SQUARE[..., None], "E_ARRAY_SHAPE"),
        (np.where(SQUARE == 5, np.nan, SQUARE), "E_NOT_FINITE"),
    ],
)
def test_malformed_similarities(tmp_path: Path, similarity: np.ndarray, expected: str) -> None:
    if similarity.dtype == np.float64 and np.isnan(similarity).any():
        similarity = similarity.astype(np.float32)
    (code,) = found(saved(tmp_path / "p.npz", {"similarity": similarity}))
    assert code == expected


def test_a_damaged_similarity_is_found(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.npz", {"similarity": np.random.default_rng(0).random((4, 4), "f4")})
    content = bytearray(path.read_bytes())
    place = content.index(b"similarity.npy") + 100
    content[place : place + 8] = bytes(8)
    path.write_bytes(content)
    assert set(found(path)) <= {"E_FILE_DAMAGED", "E_FILE_UNREADABLE", "E_ARRAY_TYPE"}
    assert found(path)


def test_the_writer_spools_similarities(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    with PredictionsWriter(path, META) as writer:
        writer.add(IDS[:3], similarity=SQUARE[:3])
        writer.add(IDS[3:], similarity=SQUARE[3:])
    assert found(path) == []
    with np.load(path) as stored:
        assert sorted(stored.files) == ["meta", "similarity", "trial_id"]
        np.testing.assert_array_equal(stored["similarity"], SQUARE)


def test_shards_hold_the_rows_of_their_trials(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    saved(folder / "0.npz", {"similarity": SQUARE[:3]}, IDS[:3])
    saved(folder / "1.npz", {"similarity": SQUARE[3:]}, IDS[3:])
    assert found(folder) == []
    blocks = list(open_predictions(folder).iter_similarity())
    assert [positions.tolist() for positions, _ in blocks] == [[0, 1, 2], [3]]
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), SQUARE)


def test_shards_whose_numbers_do_not_sort_as_text_are_refused(tmp_path: Path) -> None:
    """The columns would be in another order than the one that the author had in mind."""
    folder = tmp_path / "p"
    folder.mkdir()
    for number, (row, name) in enumerate(zip(SQUARE, IDS, strict=True), start=8):
        saved(folder / f"shard-{number}.npz", {"similarity": row[None]}, [name])
    assert found(folder) == ["E_SHARDS"]
    for path in folder.iterdir():
        path.rename(folder / f"shard-{int(path.stem[6:]):02d}.npz")
    assert found(folder) == []
    assert open_predictions(folder).trial_ids == tuple(IDS)


def test_a_similarity_of_one_axis_is_refused(tmp_path: Path) -> None:
    assert found(saved(tmp_path / "p.npz", {"similarity": SQUARE[0]})) == ["E_ARRAY_SHAPE"]


def test_the_writer_refuses_what_cannot_be_ranked(tmp_path: Path) -> None:
    with (
        refused("E_ARRAY_SHAPE", where="mine", kind=ModelError),
        PredictionsWriter(tmp_path / "p.npz", META) as writer,
    ):
        writer.add(IDS, similarity=SQUARE[:, :3])
    with (
        refused("E_MEMBERS", kind=ModelError),
        PredictionsWriter(tmp_path / "p.npz", META) as writer,
    ):
        writer.add(IDS, score=np.zeros(4))
    assert list(tmp_path.iterdir()) == []


def test_maps_and_similarities_do_not_alternate(tmp_path: Path) -> None:
    with PredictionsWriter(tmp_path / "p.npz", META) as writer:
        writer.add(IDS[:2], np.zeros((2, 3, 3), np.float32))
        with refused("E_ARRAY_SHAPE", kind=ModelError):
            writer.add(IDS[2:], similarity=SQUARE[2:])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_square(tmp_path: Path) -> None:
    count = 2000
    ids = [f"t{row}" for row in range(count)]
    rng = np.random.default_rng(0)
    path = tmp_path / "p.npz"
    whole = count * count * 4
    tracemalloc.start()
    try:
        with PredictionsWriter(path, META) as writer:
            for start in range(0, count, 100):
                block = rng.integers(0, 5, (100, count)).astype(np.float32)
                writer.add(ids[start : start + 100], similarity=block)
        check(path, Question(ids, answers="retrieval"))
        total = sum(
            float(block[:, 0].sum()) for _, block in open_predictions(path).iter_similarity(64)
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 0
    assert peak < whole / 2
