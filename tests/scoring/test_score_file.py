"""The score table as a file: every value and type comes back; anything else is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from ssl_bench.errors import ResultError
from ssl_bench.scoring.score_file import read_scores, write_scores

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
TABLE = pd.DataFrame(
    {
        "trial_id": ["a", "b"],
        "group": ["1", "1"],
        "category": ["x", "y"],
        "present": [True, False],
        "sounding": [True, True],
        "n_boxes": [1, 2],
        "cIoU": [0.5, np.nan],
    }
)


@pytest.mark.slow
@given(
    ids=st.lists(TEXT, min_size=1, unique=True),
    texts=st.lists(TEXT | st.sampled_from(["", "NA", "nan", "1", "1.0", "True"]), min_size=40),
    wide=st.floats(),
    narrow=st.floats(width=32),
    whole=st.integers(-(2**63), 2**63 - 1),
)
def test_values_and_types_come_back_to_the_last_bit(
    ids: list[str],
    texts: list[str],
    wide: float,
    narrow: float,
    whole: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    n = min(len(ids), len(texts))
    table = pd.DataFrame({"trial_id": ids[:n], "group": texts[:n]})
    table["category"] = texts[:n]
    table["present"] = table["sounding"] = [row % 2 == 0 for row in range(n)]
    table["cIoU(adaptive)"] = np.full(n, wide)
    table["single"] = np.full(n, narrow, np.float32)
    table["count"] = np.full(n, whole, np.int64)
    path = tmp_path_factory.mktemp("scores") / "scores.npz"
    write_scores(path, table)
    read = read_scores(path)
    pd.testing.assert_frame_equal(read, table, check_exact=True)
    signs = [np.signbit(each["cIoU(adaptive)"]).tolist() for each in (read, table)]
    assert signs[0] == signs[1]


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_scores(tmp_path / name, TABLE)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PK", b"no table" * 9, b"PK\x03\x04" + b"\0" * 64])
def test_something_else_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    path.write_bytes(content)
    with refused("E_SCORES_DAMAGED", where=path, kind=ResultError):
        read_scores(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_table_is_refused(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    write_scores(path, TABLE)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with refused("E_SCORES_DAMAGED", where=path):
        read_scores(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.arange(3)},
        {"trial_id": np.array(["a"]), "group": np.array(["a"]), "present": np.array([1, 2])},
        {"trial_id": np.array([["a"]]), "group": np.array(["a"]), "present": np.array([True])},
        {"trial_id": np.array([None]), "group": np.array(["a"]), "present": np.array([True])},
    ],
    ids=["another table", "unequal columns", "a matrix", "pickles"],
)
def test_arrays_that_are_no_score_table_are_refused(
    arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "scores.npz"
    np.savez(path, **arrays)
    with refused("E_SCORES_DAMAGED", where=path):
        read_scores(path)


def test_a_pipe_and_a_table_that_unpacks_to_much_more_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    np.savez_compressed(tmp_path / "bomb.npz", trial_id=np.zeros(70 * 2**20, np.uint8))
    for name in ("pipe.npz", "bomb.npz"):
        with refused("E_SCORES_DAMAGED", where=name):
            read_scores(tmp_path / name)


def test_a_missing_file_and_a_repeated_trial_are_refused(tmp_path: Path) -> None:
    with refused("E_FILE_MISSING", where="gone.npz"):
        read_scores(tmp_path / "gone.npz")
    write_scores(tmp_path / "scores.npz", pd.concat([TABLE, TABLE.head(1)]))
    with refused("E_SCORES_REPEATED", where="scores.npz"):
        read_scores(tmp_path / "scores.npz")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        *[(name, None) for name in ("trial_id", "group", "category", "present", "sounding")],
        ("group", [1.0, np.nan]),
        ("trial_id", [1, 2]),
        ("category", [b"x", b"y"]),
        ("present", [1.0, np.nan]),
        ("n_boxes", [1.0, np.nan]),
        ("cIoU", ["0.5", "n/a"]),
        ("cIoU", [1j, 1]),
    ],
)
def test_a_column_that_is_lost_or_of_another_kind_is_refused(
    tmp_path: Path, column: str, values: list[object] | None
) -> None:
    path = tmp_path / "scores.npz"
    write_scores(path, TABLE)
    assert read_scores(path).equals(TABLE)
    with np.load(path) as stored:
        arrays = dict(stored)
    del arrays[column]
    np.savez(path, **arrays, **({} if values is None else {column: np.array(values)}))
    with refused("E_SCORES_DAMAGED", where=path):
        read_scores(path)
