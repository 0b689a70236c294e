"""Where a user's clips sound: every form in which it can be given, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from ssl_bench.training.given_truth import open_truth

HEADING = "id,x0,y0,x1,y1\n"


def written(folder: Path, text: str, name: str = "boxes.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def covered(rows: slice, columns: slice, value: float = 1.0) -> np.ndarray:
    truth = np.zeros((224, 224), np.float32)
    truth[rows, columns] = value
    return truth


def test_boxes_are_relative_to_the_image_and_may_be_several(tmp_path):
    lines = "a_000010,0,0,0.5,0.25\nb,0,0,1,1\na_000010,0.5,0.5,1,1\n"
    truth = open_truth(written(tmp_path, HEADING + lines))
    expected = covered(slice(0, 56), slice(0, 112)) + covered(slice(112, 224), slice(112, 224))
    assert np.array_equal(truth.map("a_000010"), expected)
    assert truth.map("b").all()


def test_a_box_table_of_the_test_sets_is_read_as_it_is(tmp_path):
    table = '"frame","audio",xmin,ymin,xmax,ymax\r\nclips/a_1.png,clips/a.wav,0,0,112,224\r\n'
    truth = open_truth(written(tmp_path, table))
    assert np.array_equal(truth.map("a_1"), covered(slice(None), slice(0, 112)))
    with refused("E_BOX_READING", where="boxes.csv"):
        open_truth(written(tmp_path, f"{table}a_2.png,a.wav,0,0,1,1\r\n"))


def test_a_json_as_of_vggss_is_read_as_it_is(tmp_path):
    entries = [{"file": "v_000010", "class": "dog", "bbox": [[0, 0, 1, 0.5]]}]
    truth = open_truth(written(tmp_path, json.dumps(entries), "mine.json"))
    assert np.array_equal(truth.map("v_000010"), covered(slice(0, 112), slice(None)))


def test_a_folder_may_hold_masks_and_annotations_of_several_people(tmp_path):
    mask = np.zeros((30, 40), np.uint8)
    mask[:15, :10] = 255
    Image.fromarray(mask).save(tmp_path / "a.png")
    box = "<bbox><name/><xmin>{}</xmin><ymin>0</ymin><xmax>256</xmax><ymax>256</ymax></bbox>"
    written(tmp_path, f"<annotation>{box.format(0)}{box.format(128)}</annotation>", "b.xml")
    truth = open_truth(tmp_path)
    assert np.array_equal(truth.map("a"), covered(slice(0, 112), slice(0, 56)))
    # One of three annotators on the left, two on the right.
    assert truth.map("b")[0, [0, 223]] == pytest.approx([1 / 3, 2 / 3])


def test_masks_of_several_levels_need_a_rule_which_is_part_of_the_fingerprint(tmp_path):
    Image.fromarray(np.array([[0, 100, 255, 255]], np.uint8)).save(tmp_path / "a.png")
    with refused("E_MASK_LEVELS", where="a.png"):
        open_truth(tmp_path).check("a")
    nonzero, half = open_truth(tmp_path, "nonzero"), open_truth(tmp_path, "half")
    assert (nonzero.map("a").mean(), half.map("a").mean()) == (0.75, 0.5)
    assert nonzero.fingerprint("a") != half.fingerprint("a")
    with refused("E_MASK_RULE", where="boxes.csv"):
        open_truth(written(tmp_path, HEADING + "a,0,0,1,1\n"), "half")


def test_fingerprints_tell_what_was_given(tmp_path):
    first = open_truth(written(tmp_path, HEADING + "a,0,0,1,1\nb,0,0,1,1\n"))
    second = open_truth(written(tmp_path, HEADING + "a,0,0,1,0.5\nb,0,0,1,1\n"))
    assert first.fingerprint("a") != second.fingerprint("a")
    assert first.fingerprint("b") == second.fingerprint("b")


def test_all_lines_that_are_wrong_are_named_at_once(tmp_path):
    lines = [
        "a,0,0,1",
        "../a,0,0,1,1",
        "a,left,0,1,1",
        "a,10,20,200,180",
        "a,nan,0,1,1",
        "a,0.5,0,0.1,1",
        "a,0,0,1,1",
    ]
    with refused("E_CSV_FIELDS", "E_ID", "E_SCHEMA", "E_BOX_ORDER") as caught:
        open_truth(written(tmp_path, HEADING + "\n".join(lines)))
    assert [problem.split(" (")[0] for problem in caught.value.problems] == [
        f"line {number}" for number in (2, 3, 4, 5, 5, 5, 5, 6, 7)
    ]
    assert [getattr(problem, "code", "") for problem in caught.value.problems[:3]] == [
        "E_CSV_FIELDS",
        "E_ID",
        "E_SCHEMA",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "E_CSV_HEADER"), ("a,0,0,1,1\n", "E_CSV_HEADER"), (HEADING, "E_FILE_EMPTY")],
)
def test_a_table_of_another_form_is_refused(tmp_path, text, code):
    with refused(code, where="boxes.csv"):
        open_truth(written(tmp_path, text))


def test_what_is_missing_is_named_with_the_way_to_give_it(tmp_path):
    with refused("E_FILE_MISSING", where="--truth BOXES.csv"):
        open_truth(tmp_path / "absent.csv")
    with refused("E_TRUTH_MISSING", where="boxes.csv"):
        open_truth(written(tmp_path, HEADING + "a,0,0,1,1\n")).check("b")
    with refused("E_TRUTH_MISSING", where=tmp_path):
        open_truth(tmp_path).check("b")


def test_tables_and_files_may_spell_clips_in_another_way(tmp_path):
    (tmp_path / "boxes.csv").write_text("id,x0,y0,x1,y1\nzYf0pcZ5q3M_30,0,0,0.5,1\n")
    table = open_truth(tmp_path / "boxes.csv")
    assert table.map("zYf0pcZ5q3M_000030").mean() == 0.5
    with refused("E_TRUTH_MISSING", where="boxes.csv"):
        table.check("zYf0pcZ5q3M_000040")
    (tmp_path / "masks").mkdir()
    Image.new("L", (4, 4), 255).save(tmp_path / "masks" / "YzYf0pcZ5q3M_30000_40000.PNG")
    folder = open_truth(tmp_path / "masks")
    assert folder.map("zYf0pcZ5q3M_000030").mean() == 1
    with refused("E_TRUTH_MISSING", where="masks"):
        folder.check("zYf0pcZ5q3M_000040")
