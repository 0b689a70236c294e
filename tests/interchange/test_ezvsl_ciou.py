"""The file of per-sample cIoU that EZ-VSL's test script writes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standins import sample, trials_of

from ssl_bench.errors import DataError, ImportedFilesError
from ssl_bench.interchange.ezvsl_ciou import ImportedScores, import_ciou, read_ciou_file
from ssl_bench.measures.localization import area_under_success
from ssl_bench.trials.trial_set import TrialSet

# Not in the order of their names, and two clips of one video.
NAMES = ["d_000010", "a_000010", "c_000010", "a_000050"]


@pytest.fixture
def trials() -> TrialSet:
    return trials_of([sample(name, group=name[0]) for name in NAMES])


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "iou_test_av.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_the_script_writes(values: list[float]) -> str:
    """utils.py, save_iou: ascending, with the position of each value in the order of testing."""
    order = np.argsort(values).tolist()
    return "".join(f"{index},{values[index]}\n" for index in order)


def value(found: ImportedScores, measure: str) -> float | None:
    return next(each.value for each in found.measures if each.measure == measure)


class TestReading:
    @pytest.mark.parametrize(
        "content",
        ["1,0.25\n0,0.75\n", "1 0.25\n0 0.75", "1\t0.25\r\n\r\n0\t0.75\n", " 1 , 0.25\n0;0.75\n"],
    )
    def test_separators(self, content: str, tmp_path: Path) -> None:
        read = read_ciou_file(written(tmp_path, content))
        assert (read.names, read.values.tolist(), read.by_index) == (("1", "0"), [0.25, 0.75], True)

    def test_ids_instead_of_numbers(self, tmp_path: Path) -> None:
        read = read_ciou_file(written(tmp_path, "a_000010,0.5\n10000130166,1.0\n"))
        assert (read.names, read.by_index) == (("a_000010", "10000130166"), False)

    def test_not_a_number_is_kept_and_rounding_beyond_1_is_not(self, tmp_path: Path) -> None:
        read = read_ciou_file(written(tmp_path, "0,1.0000000000000002\n1,nan\n"))
        assert read.values[0] == 1
        assert math.isnan(read.values[1])

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            ("", "E_FILE_EMPTY"),
            ("0,0.5\n0,0.6\n", "E_IDS_DUPLICATE"),
            ("0,1.5\n", "E_CIOU_RANGE"),
            ("0,-0.5\n", "E_CIOU_RANGE"),
            ("0,inf\n", "E_CIOU_RANGE"),
            ("0,half\n", "E_LINE"),
            ("0.5\n", "E_LINE"),
            ("0,0.5,0.6\n", "E_LINE"),
            (",0.5\n", "E_LINE"),
            ("0,0.1\n2,0.3\n", "E_FILE_TRUNCATED"),
            ("1,0.1\n2,0.3\n", "E_FILE_TRUNCATED"),
        ],
    )
    def test_hostile_files_are_refused(self, content: str, code: str, tmp_path: Path) -> None:
        path = written(tmp_path, content)
        with refused(code, where=path, kind=ImportedFilesError):
            read_ciou_file(path)

    def test_bytes_a_folder_and_no_file(self, tmp_path: Path) -> None:
        with refused(kind=DataError):
            read_ciou_file(written(tmp_path, b"\xff\xfe0,0.5"))
        with pytest.raises(DataError):
            read_ciou_file(tmp_path)
        with refused(kind=DataError, where="gone.txt"):
            read_ciou_file(tmp_path / "gone.txt")

    def test_all_bad_lines_are_named_and_many_are_summed_up(self, tmp_path: Path) -> None:
        with refused("E_LINE", kind=ImportedFilesError) as caught:
            read_ciou_file(written(tmp_path, "x\n" * 50))
        assert isinstance(caught.value, ImportedFilesError)
        assert len(caught.value.problems) == 11


class TestImport:
    def test_an_index_counts_the_sorted_ids(self, trials: TrialSet, tmp_path: Path) -> None:
        # In the order of testing: a_000010, a_000050, c_000010, d_000010.
        path = written(tmp_path, as_the_script_writes([0.9, 0.1, 0.6, 0.4]))
        found = import_ciou(path, trials)
        assert found.scores is not None
        reached = dict(zip(found.scores["trial_id"], found.scores["cIoU"], strict=True))
        assert reached == {"a_000010": 0.9, "a_000050": 0.1, "c_000010": 0.6, "d_000010": 0.4}
        assert list(found.scores["trial_id"]) == NAMES
        assert found.scores["present"].all()
        assert value(found, "cIoU@0.5") == 0.5
        assert value(found, "mean-cIoU") == pytest.approx(0.5)
        assert {each.n_groups for each in found.measures} == {3}

    def test_lines_by_id_and_what_is_missing_fails(self, trials: TrialSet, tmp_path: Path) -> None:
        found = import_ciou(written(tmp_path, "c_000010,0.8\na_000010,0.9\n"), trials)
        assert (found.n_present, found.n_expected) == (2, 4)
        assert value(found, "cIoU@0.5") == 0.5
        assert found.scores is not None
        assert found.scores["present"].tolist() == [False, True, True, False]

    def test_a_short_numbered_file_has_a_summary_but_no_table(
        self, trials: TrialSet, tmp_path: Path
    ) -> None:
        found = import_ciou(written(tmp_path, as_the_script_writes([0.9, 0.1])), trials)
        assert found.scores is None
        assert value(found, "cIoU@0.5") == 0.25
        assert value(found, "AUC") == pytest.approx(area_under_success([0.9, 0.1, 0, 0]).mean())
        assert (found.n_present, found.n_expected) == (2, 4)

    def test_a_list_of_what_was_tested_tells_the_lines_apart(
        self, trials: TrialSet, tmp_path: Path
    ) -> None:
        path = written(tmp_path, as_the_script_writes([0.9, 0.1]))
        found = import_ciou(path, trials, ["d_000010", "a_000050"])
        assert found.scores is not None
        reached = dict(zip(found.scores["trial_id"], found.scores["cIoU"], strict=True))
        assert reached == {"a_000010": 0, "a_000050": 0.9, "c_000010": 0, "d_000010": 0.1}

    def test_lines_and_tested_clips_may_be_spelled_in_another_way(
        self, trials: TrialSet, tmp_path: Path
    ) -> None:
        found = import_ciou(written(tmp_path, "c_10.jpg,0.8\na_000010.mp4,0.9\n"), trials)
        assert value(found, "cIoU@0.5") == 0.5
        # Indices follow the order of the spellings: a_10, a_9.
        other = trials_of([sample("a_000009", group="a"), sample("a_000010", group="a")])
        found = import_ciou(written(tmp_path, "0,0.1\n1,0.9\n"), other, ["a_9", "a_10"])
        assert found.scores is not None
        reached = dict(zip(found.scores["trial_id"], found.scores["cIoU"], strict=True))
        assert reached == {"a_000010": 0.1, "a_000009": 0.9}
        with refused("E_IDS_DUPLICATE", where="a_000010"):
            import_ciou(written(tmp_path, "a_10,0.8\na_000010,0.9\n"), trials)

    def test_not_a_number_counts_as_a_failure(self, trials: TrialSet, tmp_path: Path) -> None:
        path = written(tmp_path, "3,0.5\n0,0.6\n1,0.7\n2,nan\n")
        found = import_ciou(path, trials)
        assert found.n_undefined == 1
        assert value(found, "cIoU@0.5") == 0.75

    @pytest.mark.parametrize(
        ("content", "tested", "code"),
        [
            ("".join(f"{n},0.5\n" for n in range(5)), None, "E_LINE_COUNT"),
            ("0,0.5\n", ["a_000010", "c_000010"], "E_LINE_COUNT"),
            ("zz_000010,0.5\n", None, "E_IDS_UNKNOWN"),
            ("a_000010,0.5\n", ["c_000010"], "E_IDS_UNKNOWN"),
            ("0,0.5\n", ["zz_000010"], "E_IDS_UNKNOWN"),
        ],
    )
    def test_files_that_do_not_fit_are_refused(
        self,
        content: str,
        tested: list[str] | None,
        code: str,
        trials: TrialSet,
        tmp_path: Path,
    ) -> None:
        with refused(code, kind=ImportedFilesError):
            import_ciou(written(tmp_path, content), trials, tested)


@pytest.mark.slow
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_success_and_area_are_those_of_the_script(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    trials = trials_of([sample(name) for name in NAMES])
    path = written(tmp_path_factory.mktemp("files"), as_the_script_writes(values))
    found = import_ciou(path, trials)
    array = np.array(values)
    assert value(found, "cIoU@0.5") == np.mean(array >= 0.5)
    thresholds = [0.05 * step for step in range(21)]
    curve = [np.mean(array >= threshold) for threshold in thresholds]
    assert value(found, "AUC") == pytest.approx(np.trapezoid(curve, thresholds), abs=1e-12)
