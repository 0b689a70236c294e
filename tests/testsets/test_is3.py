"""IS3: both forms of its annotation, what is refused, what is reported."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refused

from ssl_bench.errors import AnnotationError
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.testsets import Sample, definition, open_test_set
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.described.test_set import Described
from ssl_bench.testsets.truth import render
from ssl_bench.trials.compositions import open_trials

JSON_FORM, CSV_FORM = "synthetic3240_bbox.json", "is3.csv"
HEADER = ("id", "image", "category", "xmin", "ymin", "xmax", "ymax")
TEST_SET = definition("is3")
ROWS = [
    ("dog_harp_7_dog", "dog_harp_7", "dog", (0, 0, 112, 224)),
    ("hen_bus_31_bus", "hen_bus_31", "bus", (10, 20, 224, 30)),
    ("dog_harp_7_harp", "dog_harp_7", "harp", (100, 0, 224, 224)),
    ("hen_bus_31_hen", "hen_bus_31", "hen", (5, 5, 5, 9)),
]
ENTRY = {"image": "dog_harp_7_dog.jpg", "audio": "dog_harp_7_dog.wav", "gt_box": [0, 0, 9, 9]}
LINE = "dog_harp_7_dog,dog_harp_7,dog,0,0,9,9"


def read_json(path: Path) -> Sequence[Sample]:
    assert isinstance(TEST_SET, Described)
    return TEST_SET.read_file(path)


def read_csv(path: Path) -> Sequence[Sample]:
    assert isinstance(TEST_SET, Described)
    return TEST_SET.read_file(path, form=1)


def as_json() -> str:
    return json.dumps(
        [
            {
                "image": f"/somewhere/frames/{name}.jpg",
                "audio": f"/somewhere/audio/{name}.wav",
                "gt_box": [float(corner) for corner in corners],
            }
            for name, _, _, corners in ROWS
        ]
    )


def as_csv() -> str:
    lines = [",".join([*facts, *map(str, corners)]) for *facts, corners in ROWS]
    return "\n".join([",".join(HEADER), *lines, ""])


@pytest.fixture
def is3(tmp_path: Path, write_media: Callable[[Path, list[str]], None]) -> Path:
    """A folder of two invented pictures, complete, with the table."""
    folder = tmp_path / "is3"
    folder.mkdir()
    (folder / CSV_FORM).write_text(as_csv())
    write_media(folder, [name for name, *_ in ROWS])
    return folder


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


class TestOpening:
    @pytest.mark.parametrize(("name", "text"), [(JSON_FORM, as_json()), (CSV_FORM, as_csv())])
    def test_both_forms_say_the_same(self, tmp_path: Path, name: str, text: str) -> None:
        (tmp_path / "is3").mkdir()
        write(tmp_path / "is3", name, text)
        test_set = open_test_set("is3", data=tmp_path)
        for sample, (identifier, picture, category, corners) in zip(
            test_set.samples, ROWS, strict=True
        ):
            assert (sample.id, sample.group, sample.category) == (identifier, picture, category)
            assert sample.attributes == {"image": picture}
            assert isinstance(sample.annotation, Boxes)
            assert sample.annotation.corners.tolist() == [list(corners)]
            assert sample.annotation.frame == (224, 224)
        assert test_set.samples[0].categories == ("dog", "harp")
        other = tmp_path / "other" / "is3"
        other.mkdir(parents=True)
        write(other, CSV_FORM, as_csv())
        assert open_test_set("is3", data=other.parent).digest == test_set.digest

    def test_boxes_are_filled_end_exclusive_and_reach_the_edge(self, is3: Path) -> None:
        samples = open_test_set("is3", data=is3.parent).samples
        drawn = render(samples[0].annotation, "union", 224, 224)
        expected = np.zeros((224, 224), np.float32)
        expected[:, :112] = 1
        np.testing.assert_array_equal(drawn, expected)
        assert render(samples[1].annotation, "union", 224, 224)[20:30, 10:].all()
        assert not render(samples[3].annotation, "union", 224, 224).any()

    def test_the_released_form_comes_first(self, is3: Path) -> None:
        write(is3, JSON_FORM, json.dumps([ENTRY]))
        assert len(open_test_set("is3", data=is3.parent)) == 1

    def test_images_and_sounds_are_read_by_id(self, is3: Path) -> None:
        test_set = open_test_set("is3", data=is3.parent)
        assert test_set.image("dog_harp_7_harp").shape == (30, 40, 3)
        assert test_set.waveform("dog_harp_7_harp").samples.shape == (400, 1)

    def test_the_interactive_protocol_asks_for_each_sound_of_a_picture(self, is3: Path) -> None:
        trials = open_trials(load_protocol("interactive@is3"), is3.parent)
        twins = {trial.id: trial.twins for trial in trials}
        assert twins["dog_harp_7_dog"] == ("dog_harp_7_harp",)
        assert twins["hen_bus_31_hen"] == ("hen_bus_31_bus",)
        assert len({trial.image for trial in trials}) == 2

    def test_options_are_refused(self, is3: Path) -> None:
        with refused("E_TEST_SET_OPTION"):
            open_test_set("is3", data=is3.parent, options={"count": 2})

    def test_a_blank_within_a_name_is_taken_as_it_is(self, tmp_path: Path) -> None:
        path = write(tmp_path, CSV_FORM, f"{','.join(HEADER)}\na b_c,a b,c,0,0,1,2\n")
        assert read_csv(path)[0].id == "a b_c"


class TestRefusals:
    @pytest.mark.parametrize(
        ("entry", "code", "place"),
        [
            ("text", "E_SCHEMA", "1"),
            ({"image": "a_b", "audio": "a_b"}, "E_SCHEMA", "1.gt_box"),
            (ENTRY | {"image": 3}, "E_SCHEMA", "1.image"),
            (ENTRY | {"image": "", "audio": ""}, "E_ID", "1"),
            (ENTRY | {"image": "dog.jpg", "audio": "dog.wav"}, "E_ID", "1"),
            (ENTRY | {"image": "dog_1_", "audio": "dog_1_"}, "E_CATEGORY", "1"),
            (ENTRY | {"image": "a\x00_b", "audio": "a\x00_b"}, "E_ID", "1"),
            (ENTRY | {"image": " a_b", "audio": " a_b"}, "E_ID", "1"),
            (ENTRY | {"image": "a_b\x1b", "audio": "a_b\x1b"}, "E_ID", "1"),
            (ENTRY | {"gt_box": None}, "E_SCHEMA", "1.gt_box"),
            (ENTRY | {"gt_box": [0, 0, 1]}, "E_SCHEMA", "1.gt_box.3"),
            (ENTRY | {"gt_box": [0, 0, 1, "1"]}, "E_SCHEMA", "1.gt_box.3"),
            (ENTRY | {"gt_box": [0, 0, 1, True]}, "E_SCHEMA", "1.gt_box.3"),
            (ENTRY | {"gt_box": [0, 0, 1, 1]}, "E_BOX_READING", "1.gt_box"),
            (ENTRY | {"gt_box": [0, 0, 1, 1.5]}, "E_SCHEMA", "1.gt_box.3"),
            (ENTRY | {"gt_box": [0, 0, 1, 225]}, "E_SCHEMA", "1.gt_box.3"),
            (ENTRY | {"gt_box": [-1, 0, 1, 1]}, "E_SCHEMA", "1.gt_box.0"),
            (ENTRY | {"gt_box": [0, 0, 1, float("nan")]}, "E_SCHEMA", "1.gt_box.3"),
            (ENTRY | {"gt_box": [0, 0, 1, float("inf")]}, "E_SCHEMA", "1.gt_box.3"),
            (ENTRY | {"gt_box": [0, 0, 1, 10**400]}, "E_SCHEMA", "1.gt_box.3"),
            (ENTRY | {"gt_box": [9, 0, 1, 1]}, "E_BOX_ORDER", "1.gt_box"),
        ],
    )
    def test_a_malformed_entry_is_named_by_its_place(
        self, tmp_path: Path, entry: Any, code: str, place: str
    ) -> None:
        path = write(tmp_path, JSON_FORM, json.dumps([ENTRY, entry]))
        with refused(code, where=f"entry {place}"):
            read_json(path)

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("a,b,c,0,0,1", "E_CSV_FIELDS"),
            ("a,b,c,0,0,1,1,1", "E_CSV_FIELDS"),
            ("../a,b,c,0,0,1,1", "E_ID"),
            ("a,../b,c,0,0,1,1", "E_ID"),
            ("a,b, ,0,0,1,1", "E_CATEGORY"),
            ("a,b,c,0,0,1,225", "E_SCHEMA"),
            ("a,b,c,0,0,1,1.5", "E_SCHEMA"),
            ("a_c,a,c,0,0,1,1", "E_BOX_READING"),
            ("a,b,c,0,0,1,-1", "E_SCHEMA"),
            ("a,b,c,0,0,1,nan", "E_SCHEMA"),
            ("a,b,c,0,0,1,٣", "E_SCHEMA"),
            ("a,b,c,0,0,1,zz", "E_SCHEMA"),
            ("a,b,c,9,0,1,1", "E_BOX_ORDER"),
        ],
    )
    def test_a_malformed_line_is_named_by_its_number(
        self, tmp_path: Path, line: str, code: str
    ) -> None:
        text = "\n".join([",".join(HEADER), LINE, line, "z_z,z,z,0,0,1,2", ""])
        with refused(code, where="line 3") as caught:
            read_csv(write(tmp_path, CSV_FORM, text))
        assert isinstance(caught.value, AnnotationError)
        assert len(caught.value.problems) == 1

    def test_all_problems_are_reported_at_once(self, tmp_path: Path) -> None:
        text = "\n".join([",".join(HEADER), LINE, LINE, "a", "b", ""])
        with refused("E_CSV_FIELDS", "E_ID_REPEATED", where="dog_harp_7_dog") as caught:
            read_csv(write(tmp_path, CSV_FORM, text))
        assert isinstance(caught.value, AnnotationError)
        assert len(caught.value.problems) == 3

    @pytest.mark.parametrize("text", ["", "id,image\n", LINE, '"id', ",".join(HEADER) + "\n"])
    def test_a_file_that_is_no_such_table_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(AnnotationError):
            read_csv(write(tmp_path, CSV_FORM, text))

    @pytest.mark.parametrize(
        "text",
        ["", "{}", "[]", "null", "[{", as_json()[:-3], "[" * 100_000, "[" + "1" * 5000 + "]"],
        ids=["empty", "object", "no entry", "null", "open", "truncated", "deep", "huge number"],
    )
    def test_a_file_that_is_no_such_list_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(AnnotationError):
            read_json(write(tmp_path, JSON_FORM, text))

    def test_problems_are_not_looked_for_without_end(self, tmp_path: Path) -> None:
        with refused("E_SCHEMA", "E_CSV", kind=AnnotationError) as caught:
            read_csv(write(tmp_path, CSV_FORM, as_csv() + "a,b,c,x,0,1,1\n" * 3000))
        assert 1000 < len(caught.value.problems) < 1100
        with refused("E_SCHEMA", where="entry 0", kind=AnnotationError) as caught:
            read_json(write(tmp_path, JSON_FORM, "[" + "{}," * 30_000 + "{}]"))
        assert len(caught.value.problems) < 5
        with refused("E_FILE_SIZE", where=CSV_FORM):
            read_csv(write(tmp_path, CSV_FORM, as_csv() + "\n" * 600_000))

    @pytest.mark.parametrize("read", [read_json, read_csv])
    def test_another_encoding_and_a_missing_file_are_refused(
        self, tmp_path: Path, read: Callable[[Path], object]
    ) -> None:
        path = tmp_path / "annotation"
        with refused("E_FILE_MISSING", where=path):
            read(path)
        path.write_text(as_csv(), encoding="utf-16")
        with refused("E_ENCODING", where=path):
            read(path)


class TestVerify:
    def test_a_complete_folder_has_nothing_missing_or_corrupt(self, is3: Path) -> None:
        findings = TEST_SET.verify(is3)
        assert {finding.level for finding in findings} == {"ok", "note"}
        assert any("4 boxes, 4 categories, 2 pictures" in finding.message for finding in findings)

    def test_a_picture_with_one_sound_is_noted(self, is3: Path) -> None:
        write(is3, CSV_FORM, f"{','.join(HEADER)}\n{LINE}\n")
        notes = [finding.item for finding in TEST_SET.verify(is3) if "one sound" in finding.message]
        assert notes == ["dog_harp_7"]

    def test_missing_and_corrupt_files_are_named(self, is3: Path) -> None:
        (is3 / "frames" / "dog_harp_7_dog.png").unlink()
        (is3 / "audio" / "hen_bus_31_hen.wav").write_bytes(b"")
        found = {(finding.level, finding.item) for finding in TEST_SET.verify(is3)}
        assert ("missing", "frames/dog_harp_7_dog") in found
        assert ("corrupt", "audio/hen_bus_31_hen.wav") in found

    def test_a_bad_annotation_is_a_finding(self, tmp_path: Path) -> None:
        assert [finding.level for finding in TEST_SET.verify(tmp_path)] == ["missing"]
        assert [finding.level for finding in TEST_SET.verify(tmp_path / "gone")] == ["missing"]
        write(tmp_path, CSV_FORM, "\n".join([",".join(HEADER), "a", "b"]))
        assert [finding.level for finding in TEST_SET.verify(tmp_path)] == ["corrupt"] * 2
        (tmp_path / JSON_FORM).write_bytes(b"\xff\xff")
        assert [finding.item for finding in TEST_SET.verify(tmp_path)] == [JSON_FORM]

    def test_the_layout_names_every_file(self) -> None:
        for name in (JSON_FORM, CSV_FORM, "frames/<id>", "audio/<id>"):
            assert name in TEST_SET.layout()
