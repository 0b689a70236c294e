from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench.predictions import LIMITS, Limits, Problem
from ssl_bench.predictions.scan import predictions_files, scan_files

Make = Callable[..., dict[str, Any]]
Zip = Callable[..., Path]


def problems_of(path: Path, limits: Limits = LIMITS) -> list[Problem]:
    (scan,) = scan_files([path], limits, values=True)
    return list(scan.problems)


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
    assert [problem.kind for problem in problems] == ["type"]
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
    assert [problem.kind for problem in problems_of(zipped(members(**change)))] == ["shape"]


@pytest.mark.parametrize(
    ("change", "limits", "kind"),
    [
        ({}, Limits(total_bytes=400), "too-large"),
        ({}, Limits(trials=3), "too-large"),
        ({}, Limits(side=4), "too-large"),
        ({}, Limits(meta_bytes=50), "too-large"),
        ({"image_embedding": np.zeros((4, 9))}, Limits(embedding_width=8), "too-large"),
        ({"trial_id": np.array(["x" * 300, "b", "c", "d"])}, LIMITS, "bad-ids"),
    ],
)
def test_what_is_larger_than_the_limits_is_not_read(
    members: Make, zipped: Zip, change: dict[str, Any], limits: Limits, kind: str
) -> None:
    assert kind in {problem.kind for problem in problems_of(zipped(members(**change)), limits)}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_trial_whose_map_is_not_finite_is_named(
    members: Make, zipped: Zip, value: float, dtype: type
) -> None:
    maps = members()["map"].astype(dtype)
    maps[2, 1, 4] = value
    (problem,) = problems_of(zipped(members(map=maps)))
    assert (problem.kind, problem.ids, problem.count) == ("not-finite", ("t2",), 1)


def test_all_trials_that_share_a_map_that_is_not_finite_are_counted(
    members: Make, zipped: Zip
) -> None:
    maps = members(2)["map"].copy()
    maps[1] = np.nan
    index = np.array([1, 0, 1, 1])
    (problem,) = problems_of(zipped(members(map=maps, map_index=index)))
    assert (problem.ids, problem.count) == (("t0", "t2", "t3"), 3)


@pytest.mark.parametrize("name", ["score", "image_embedding", "audio_embedding"])
def test_scores_and_embeddings_are_finite_too(members: Make, zipped: Zip, name: str) -> None:
    values = np.zeros((4,) if name == "score" else (4, 3))
    values[3] = np.inf
    (problem,) = problems_of(zipped(members(**{name: values})))
    assert (problem.kind, problem.ids) == ("not-finite", ("t3",))
    assert repr(name) in problem.message


@pytest.mark.parametrize("row", [-1, 4, 2**62])
def test_the_trial_whose_map_row_does_not_exist_is_named(
    members: Make, zipped: Zip, row: int
) -> None:
    (problem,) = problems_of(zipped(members(map_index=np.array([0, 1, row, 3]))))
    assert (problem.kind, problem.ids) == ("map-index", ("t2",))


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "tab\t"])
def test_malformed_ids_are_reported_in_safe_spelling(members: Make, zipped: Zip, name: str) -> None:
    (problem,) = problems_of(zipped(members(trial_id=np.array(["t0", name, "t2", "t3"]))))
    assert problem.kind == "bad-ids"
    assert repr(name) in str(problem)


def test_ids_that_are_not_even_text(members: Make, zipped: Zip) -> None:
    numbers = np.full((4, 2), 0x7FFFFFFF, np.uint32)
    (problem,) = problems_of(zipped(members(trial_id=numbers.view("U2")[:, 0])))
    assert (problem.kind, problem.count) == ("bad-ids", 4)


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
    assert {problem.kind for problem in problems} == {"meta"}
    assert part in " ".join(problem.message for problem in problems)


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
    (scan,) = scan_files([path], LIMITS, values=False)
    assert scan.meta is not None
    assert json.loads(scan.meta.to_bytes())["provenance"] == about["provenance"]


def test_what_is_neither_a_file_nor_a_folder_is_called_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        files, (problem,) = predictions_files(path, LIMITS)
        assert files == []
        assert "neither a file nor a folder" in problem.message
    _, (problem,) = predictions_files(tmp_path / "absent.npz", LIMITS)
    assert problem.message == "there is no such file or folder"


def test_a_folder_without_shards(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    files, (problem,) = predictions_files(tmp_path, LIMITS)
    assert files == []
    assert problem.kind == "shards"


def test_a_folder_with_too_many_shards(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.npz").write_bytes(b"")
    files, (problem,) = predictions_files(tmp_path, Limits(shards=2))
    assert files == []
    assert problem.kind == "too-large"
