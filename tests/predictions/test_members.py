from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from predicted import codes_of, problems_of

from ssl_bench.predictions import LIMITS, Limits, PredictionsMeta, open_predictions

Make = Callable[..., dict[str, Any]]
Zip = Callable[..., Path]


WRONG_TYPES = {
    "map of float64": {"map": np.zeros((4, 3, 5))},
    "map of integers": {"map": np.zeros((4, 3, 5), np.int32)},
    "map of complex numbers": {"map": np.zeros((4, 3, 5), np.complex64)},
    "ids of bytes": {"trial_id": np.array([b"t0", b"t1", b"t2", b"t3"])},
    "ids of numbers": {"trial_id": np.arange(4)},
    "index of floats": {"map_index": np.zeros(4)},
    "score of truth values": {"score": np.zeros(4, bool)},
    "embedding of integers": {"image_embedding": np.zeros((4, 2), int)},
    "metadata as text": {"meta": np.array("{}")},
    "metadata as wide numbers": {"meta": np.zeros(10, np.uint16)},
}


@pytest.mark.parametrize("change", WRONG_TYPES.values(), ids=WRONG_TYPES.keys())
def test_each_member_has_its_type(members: Make, zipped: Zip, change: dict[str, Any]) -> None:
    (name,) = change
    problems = problems_of(zipped(members(**change)))
    assert [problem.code for problem in problems] == ["E_ARRAY_TYPE"]
    assert repr(name) in problems[0].message


WRONG_SHAPES = {
    "maps without rows": {"map": np.zeros((12, 5), np.float32)},
    "maps with channels": {"map": np.zeros((4, 1, 3, 5), np.float32)},
    "maps without a pixel": {"map": np.zeros((4, 0, 5), np.float32)},
    "one map too many": {"map": np.zeros((5, 3, 5), np.float32)},
    "ids in a table": {"trial_id": np.array([["t0", "t1"], ["t2", "t3"]])},
    "no trial": {"trial_id": np.zeros(0, "U2")},
    "score too short": {"score": np.zeros(3)},
    "score in a table": {"score": np.zeros((4, 1))},
    "index too long": {"map_index": np.zeros(5, int)},
    "unused maps": {"map": np.zeros((5, 3, 5), np.float32), "map_index": np.zeros(4, int)},
    "embedding without width": {"audio_embedding": np.zeros((4, 0))},
    "embeddings of two widths": {
        "image_embedding": np.zeros((4, 2)),
        "audio_embedding": np.zeros((4, 3)),
    },
    "no metadata": {"meta": np.zeros(0, np.uint8)},
    "metadata as one number": {"meta": np.uint8(7)},
}


@pytest.mark.parametrize("change", WRONG_SHAPES.values(), ids=WRONG_SHAPES.keys())
def test_each_member_has_its_shape(members: Make, zipped: Zip, change: dict[str, Any]) -> None:
    assert [problem.code for problem in problems_of(zipped(members(**change)))] == ["E_ARRAY_SHAPE"]


@pytest.mark.parametrize(
    ("change", "limits", "kind"),
    [
        ({}, Limits(total_bytes=400), "E_FILE_TOO_LARGE"),
        ({}, Limits(trials=3), "E_FILE_TOO_LARGE"),
        ({}, Limits(side=4), "E_FILE_TOO_LARGE"),
        ({}, Limits(meta_bytes=50), "E_FILE_TOO_LARGE"),
        ({"image_embedding": np.zeros((4, 9))}, Limits(embedding_width=8), "E_FILE_TOO_LARGE"),
        ({"trial_id": np.array(["x" * 300, "b", "c", "d"])}, LIMITS, "E_IDS"),
    ],
)
def test_what_is_larger_than_the_limits_is_not_read(
    members: Make, zipped: Zip, change: dict[str, Any], limits: Limits, kind: str
) -> None:
    assert kind in {
        problem.code for problem in problems_of(zipped(members(**change)), limits=limits)
    }


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_trial_whose_map_is_not_finite_is_named(
    members: Make, zipped: Zip, value: float, dtype: type
) -> None:
    maps = members()["map"].astype(dtype)
    maps[2, 1, 4] = value
    (problem,) = problems_of(zipped(members(map=maps)))
    assert (problem.code, problem.ids, len(problem.ids)) == ("E_NOT_FINITE", ("t2",), 1)


def test_all_trials_that_share_a_map_that_is_not_finite_are_counted(
    members: Make, zipped: Zip
) -> None:
    maps = members(2)["map"].copy()
    maps[1] = np.nan
    index = np.array([1, 0, 1, 1])
    (problem,) = problems_of(zipped(members(map=maps, map_index=index)))
    assert (problem.ids, len(problem.ids)) == (("t0", "t2", "t3"), 3)


@pytest.mark.parametrize("name", ["score", "image_embedding", "audio_embedding"])
def test_scores_and_embeddings_are_finite_too(members: Make, zipped: Zip, name: str) -> None:
    values = np.zeros((4,) if name == "score" else (4, 3))
    values[3] = np.inf
    (problem,) = problems_of(zipped(members(**{name: values})))
    assert (problem.code, problem.ids) == ("E_NOT_FINITE", ("t3",))
    assert repr(name) in problem.message


@pytest.mark.parametrize("row", [-1, 4, 2**62])
def test_the_trial_whose_map_row_does_not_exist_is_named(
    members: Make, zipped: Zip, row: int
) -> None:
    (problem,) = problems_of(zipped(members(map_index=np.array([0, 1, row, 3]))))
    assert (problem.code, problem.ids) == ("E_MAP_INDEX", ("t2",))


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "tab\t"])
def test_malformed_ids_are_reported_in_safe_spelling(members: Make, zipped: Zip, name: str) -> None:
    (problem,) = problems_of(
        zipped(members(trial_id=np.array(["t0", name, "t2", "t3"]))), partial=True
    )
    assert problem.code == "E_IDS"
    assert repr(name) in str(problem)


def test_ids_that_are_not_even_text(members: Make, zipped: Zip) -> None:
    numbers = np.full((4, 2), 0x7FFFFFFF, np.uint32)
    path = zipped(members(trial_id=numbers.view("U2")[:, 0]))
    assert codes_of(path, partial=True) == ["E_IDS", "E_IDS_DUPLICATE"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"\xff\xfe\x00", "metadata"),
        (b"[" * 100_000, "metadata"),
        (b"[]", "metadata"),
        (b"{}", "protocol_digest"),
        (b'{"complete": NaN}', "complete"),
    ],
)
def test_metadata_that_cannot_be_used(members: Make, zipped: Zip, text: bytes, part: str) -> None:
    problems = problems_of(zipped(members(meta=np.frombuffer(text, np.uint8))))
    assert {problem.code for problem in problems} == {"E_META"}
    assert part in " ".join(problem.message for problem in problems)


def test_a_field_of_the_metadata_stands_once(
    members: Make, zipped: Zip, meta: PredictionsMeta
) -> None:
    text = b'{"complete": true, ' + meta.to_bytes()[1:]
    (problem,) = problems_of(zipped(members(meta=np.frombuffer(text, np.uint8))))
    assert problem.code == "E_META"
    assert "complete" in problem.message


def test_metadata_may_begin_with_a_byte_order_mark(
    members: Make, zipped: Zip, meta: PredictionsMeta
) -> None:
    text = b"\xef\xbb\xbf" + meta.to_bytes()
    path = zipped(members(meta=np.frombuffer(text, np.uint8)))
    assert open_predictions(path).meta == meta


def test_the_remedy_names_the_fields_of_the_metadata(members: Make, zipped: Zip) -> None:
    (problem, *_) = problems_of(zipped(members(meta=np.frombuffer(b"{}", np.uint8))))
    assert problem.remedy == (
        "store UTF-8 JSON in a uint8 array, with the fields protocol, protocol_digest, test_set, "
        "test_set_digest, model, complete; format, trials_digest, weights_digest, provenance may "
        "be added"
    )


def test_every_field_of_the_metadata_is_checked_at_once(members: Make, zipped: Zip) -> None:
    about = {"format": "other/3", "complete": 1, "unknown\x1b": 2}
    messages = [problem.message for problem in problems_of(zipped(members(about=about)))]
    assert len(messages) == 3
    assert "\x1b" not in "".join(messages)


def test_metadata_may_hold_further_facts(members: Make, zipped: Zip) -> None:
    about = {"provenance": {"seed": 1, "versions": {"torch": "2.13.0"}}}
    path = zipped(members(about=about))
    meta = open_predictions(path).meta
    assert json.loads(meta.to_bytes())["provenance"] == about["provenance"]


def test_what_is_neither_a_file_nor_a_folder_is_called_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        (problem,) = problems_of(path)
        assert problem.code == "E_FILE_UNREADABLE"
        assert "neither a file nor a folder" in problem


def test_a_folder_without_shards(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    assert codes_of(tmp_path) == ["E_SHARDS"]


def test_a_run_folder_is_told_from_shards(tmp_path: Path) -> None:
    for name in ("result.json", "predictions.npz", "scores.npz"):
        (tmp_path / name).write_bytes(b"")
    (problem,) = problems_of(tmp_path)
    assert problem.code == "E_SHARDS"
    assert str(tmp_path / "predictions.npz") in problem


def test_a_folder_with_too_many_shards(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.npz").write_bytes(b"")
    assert codes_of(tmp_path, limits=Limits(shards=2)) == ["E_FILE_TOO_LARGE"]
