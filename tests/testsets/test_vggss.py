"""VGG-SS: what its annotation becomes, what is refused, what is reported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refused

from ssl_bench.errors import AnnotationError, SslBenchError
from ssl_bench.testsets import Sample, definition, open_test_set
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.described.test_set import Described
from ssl_bench.testsets.truth import render

TEST_SET = definition("vggss")
ENTRY = {"file": "abcdefghijk_000030", "class": "dog barking", "bbox": [[0.1, 0.2, 0.5, 0.8]]}


@pytest.fixture
def vggss(tmp_path: Path, write_media: Callable[[Path, list[str]], None]) -> Path:
    """A folder of three invented VGG-SS clips of two videos, complete."""
    entries: list[dict[str, Any]] = [
        {"file": "abcdefghijk_000030", "class": "dog barking", "bbox": [[0.1, 0.2, 0.5, 0.8]]},
        {
            "file": "-_cdefghij0_000001",
            "class": "playing harp",
            "bbox": [[0, 0, 1, 1], [0.25, 0.25, -2.8823037615171176e16, 0.5]],
        },
        {
            "file": "abcdefghijk_000120",
            "class": "dog barking",
            "bbox": [[0.5, 0.5, 0.75, -2.8823037615171176e16]],
        },
    ]
    folder = tmp_path / "vggss"
    folder.mkdir()
    (folder / "vggss.json").write_text(json.dumps(entries))
    (folder / "vggss_heard_test.txt").write_text("abcdefghijk_000120\nabcdefghijk_000030\n")
    (folder / "vggss_unheard_test.txt").write_text("-_cdefghij0_000001\n")
    write_media(folder, [entry["file"] for entry in entries])
    return folder


def problems(caught: pytest.ExceptionInfo[SslBenchError]) -> tuple[str, ...]:
    assert isinstance(caught.value, AnnotationError)
    return caught.value.problems


def write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "vggss.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read_annotation(path: Path) -> Sequence[Sample]:
    assert isinstance(TEST_SET, Described)
    return TEST_SET.read_file(path)


class TestOpening:
    def test_samples_keep_the_order_ids_classes_and_corners(self, vggss: Path) -> None:
        test_set = open_test_set("vggss", data=vggss.parent)
        assert [sample.id for sample in test_set.samples] == [
            "abcdefghijk_000030",
            "-_cdefghij0_000001",
            "abcdefghijk_000120",
        ]
        assert [sample.group for sample in test_set.samples] == [
            "abcdefghijk",
            "-_cdefghij0",
            "abcdefghijk",
        ]
        assert [sample.category for sample in test_set.samples] == [
            "dog barking",
            "playing harp",
            "dog barking",
        ]
        annotation = test_set["-_cdefghij0_000001"].annotation
        assert isinstance(annotation, Boxes)
        assert annotation.frame == (1.0, 1.0)
        assert annotation.corners.tolist() == [
            [0, 0, 1, 1],
            [0.25, 0.25, -2.8823037615171176e16, 0.5],
        ]
        assert test_set.truth_convention == "union"
        assert test_set.split == "all"

    def test_a_sample_without_truth_stays_in_the_list(self, vggss: Path) -> None:
        test_set = open_test_set("vggss", data=vggss.parent)
        assert not render(test_set["abcdefghijk_000120"].annotation, "union", 224, 224).any()
        assert len(test_set) == 3

    def test_a_split_holds_the_listed_samples_in_the_order_of_the_annotation(
        self, vggss: Path
    ) -> None:
        heard = open_test_set("vggss", "heard", data=vggss.parent)
        assert [sample.id for sample in heard.samples] == [
            "abcdefghijk_000030",
            "abcdefghijk_000120",
        ]
        unheard = open_test_set("vggss", "unheard", data=vggss.parent)
        assert [sample.id for sample in unheard.samples] == ["-_cdefghij0_000001"]
        assert heard.digest != unheard.digest

    def test_a_listed_id_that_is_not_annotated_is_refused_not_skipped(self, vggss: Path) -> None:
        with (vggss / "vggss_heard_test.txt").open("a") as stream:
            stream.write("zzzzzzzzzzz_000001\nyyyyyyyyyyy_000001\n")
        with pytest.raises(AnnotationError) as caught:
            open_test_set("vggss", "heard", data=vggss.parent)
        assert len(caught.value.problems) == 2
        assert "zzzzzzzzzzz_000001" in str(caught.value)

    def test_a_missing_list_is_named(self, vggss: Path) -> None:
        (vggss / "vggss_heard_test.txt").unlink()
        with refused("E_FILE_MISSING", where="vggss_heard_test.txt"):
            open_test_set("vggss", "heard", data=vggss.parent)
        assert len(open_test_set("vggss", data=vggss.parent)) == 3

    def test_images_and_sounds_are_read_by_id(self, vggss: Path) -> None:
        test_set = open_test_set("vggss", data=vggss.parent)
        assert test_set.image("abcdefghijk_000030").shape == (30, 40, 3)
        assert test_set.waveform("abcdefghijk_000030").samples.shape == (400, 1)

    def test_annotations_alone_are_enough_to_open(self, vggss: Path) -> None:
        for path in (vggss / "frames").iterdir():
            path.unlink()
        test_set = open_test_set("vggss", data=vggss.parent)
        with refused(where="abcdefghijk_000030"):
            test_set.image("abcdefghijk_000030")

    def test_an_id_outside_the_test_set_is_never_looked_up(self, vggss: Path) -> None:
        test_set = open_test_set("vggss", data=vggss.parent)
        with refused("E_SAMPLE_ID"):
            test_set.image("../frames/abcdefghijk_000030")

    def test_an_unknown_option_is_refused(self, vggss: Path) -> None:
        with refused("E_TEST_SET_OPTION"):
            open_test_set("vggss", data=vggss.parent, options={"count": 2})


class TestIdentity:
    def test_the_digest_ignores_the_spelling_of_the_file(self, tmp_path: Path) -> None:
        digests, revisions = set(), set()
        for text in (
            json.dumps([ENTRY]),
            json.dumps([ENTRY], indent=4),
            json.dumps([dict(reversed(ENTRY.items()))]).replace("0.5", "5e-1"),
            "\ufeff" + json.dumps([ENTRY]),
        ):
            (tmp_path / "vggss").mkdir(exist_ok=True)
            (tmp_path / "vggss" / "vggss.json").write_text(text, encoding="utf-8")
            test_set = open_test_set("vggss", data=tmp_path)
            digests.add(test_set.digest)
            revisions.add(test_set.revision)
        assert len(digests) == 1
        assert revisions == {None}

    @pytest.mark.parametrize(
        "change",
        [
            {"file": "abcdefghijk_000031"},
            {"bbox": [[0.1, 0.2, 0.5, 0.8000000000000002]]},
            {"bbox": [[0.1, 0.2, 0.5, 0.8]] * 2},
            {"bbox": []},
        ],
    )
    def test_the_digest_follows_ids_and_truth(
        self, tmp_path: Path, change: dict[str, object]
    ) -> None:
        digests = []
        for entry in (ENTRY, ENTRY | change):
            (tmp_path / "vggss").mkdir(exist_ok=True)
            write(tmp_path / "vggss", [entry])
            digests.append(open_test_set("vggss", data=tmp_path).digest)
        assert digests[0] != digests[1]

    def test_a_known_file_is_named(self, vggss: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import hashlib

        digest = hashlib.sha256((vggss / "vggss.json").read_bytes()).hexdigest()
        monkeypatch.setattr(definition("vggss"), "revisions", {digest: "invented"})
        assert open_test_set("vggss", data=vggss.parent).revision == "invented"
        assert any(
            finding.level == "ok" and "invented" in finding.message
            for finding in definition("vggss").verify(vggss)
        )


class TestRefusals:
    @pytest.mark.parametrize(
        ("entry", "code", "place"),
        [
            ("text", "E_SCHEMA", "1"),
            (["a"], "E_SCHEMA", "1"),
            ({"file": "abcdefghijk_000030", "bbox": []}, "E_SCHEMA", "1.class"),
            (ENTRY | {"file": 30}, "E_SCHEMA", "1.file"),
            (ENTRY | {"file": ""}, "E_ID", "1.file"),
            (ENTRY | {"file": "a" * 200 + "_000030"}, "E_ID", "1.file"),
            (ENTRY | {"file": "abcdefghijk"}, "E_ID", "1"),
            (ENTRY | {"file": "abcdefghijk_"}, "E_ID", "1"),
            (ENTRY | {"file": "_000030"}, "E_ID", "1"),
            (ENTRY | {"file": "../../secret_000030"}, "E_ID", "1.file"),
            (ENTRY | {"file": "a\\b_000030"}, "E_ID", "1.file"),
            (ENTRY | {"file": "/etc/passwd_000030"}, "E_ID", "1.file"),
            (ENTRY | {"file": ".hidden_000030"}, "E_ID", "1.file"),
            (ENTRY | {"file": "a\nb_000030"}, "E_ID", "1.file"),
            (ENTRY | {"file": "a\x00b_000030"}, "E_ID", "1.file"),
            (ENTRY | {"file": "abcdefghijk_٣٠"}, "E_ID", "1.file"),
            (ENTRY | {"class": None}, "E_SCHEMA", "1.class"),
            (ENTRY | {"class": " "}, "E_CATEGORY", "1.class"),
            (ENTRY | {"class": "dog\x1b[31m"}, "E_CATEGORY", "1.class"),
            (ENTRY | {"bbox": None}, "E_SCHEMA", "1.bbox"),
            (ENTRY | {"bbox": {"0": [0, 0, 1, 1]}}, "E_SCHEMA", "1.bbox"),
            (ENTRY | {"bbox": [0.1]}, "E_SCHEMA", "1.bbox.0"),
            (ENTRY | {"bbox": [[0, 0, 1, 1], [0, 0, 1]]}, "E_SCHEMA", "1.bbox.1.3"),
            (ENTRY | {"bbox": [[0, 0, 1, 1, 1]]}, "E_SCHEMA", "1.bbox.0"),
            (ENTRY | {"bbox": [[0, 0, 1, "1"]]}, "E_SCHEMA", "1.bbox.0.3"),
            (ENTRY | {"bbox": [[0, 0, 1, True]]}, "E_SCHEMA", "1.bbox.0.3"),
            (ENTRY | {"bbox": [[0, 0, 1, None]]}, "E_SCHEMA", "1.bbox.0.3"),
            (ENTRY | {"bbox": [[0, 0, 1, float("nan")]]}, "E_SCHEMA", "1.bbox.0.3"),
            (ENTRY | {"bbox": [[0, 0, float("-inf"), 1]]}, "E_SCHEMA", "1.bbox.0.2"),
            (ENTRY | {"bbox": [[0, 0, 1, 10**400]]}, "E_SCHEMA", "1.bbox.0.3"),
            (ENTRY | {"bbox": [[0, 0, 1, 1], [0.5, 0, 0.4, 1]]}, "E_BOX_ORDER", "1.bbox.1"),
            (ENTRY | {"bbox": [[0, 0, 1, 1.5]]}, "E_BOX_RANGE", "1.bbox.0"),
            (ENTRY | {"bbox": [[-0.2, 0, 1, -2.9e16]]}, "E_BOX_RANGE", "1.bbox.0"),
            (ENTRY | {"bbox": [[0, 0, 1e300, 1]]}, "E_BOX_RANGE", "1.bbox.0"),
        ],
    )
    def test_a_malformed_entry_is_named_by_its_place(
        self, tmp_path: Path, entry: Any, code: str, place: str
    ) -> None:
        with refused(code, where="vggss.json", kind=AnnotationError) as caught:
            read_annotation(write(tmp_path, [ENTRY, entry]))
        assert len(problems(caught)) == 1
        assert re.match(rf"entry {re.escape(place)}[: ]", problems(caught)[0])

    @pytest.mark.parametrize(
        ("boxes", "code", "reading"),
        [
            ([[10, 20, 200, 180], [5, 5, 640, 480]], "E_BOX_RANGE", "pixels"),
            ([[0.5, 0.5, 0.2, 0.3], [0.6, 0.1, 0.3, 0.5]], "E_BOX_ORDER", "x, y, width, height"),
        ],
    )
    def test_what_many_boxes_look_like_is_said(
        self, tmp_path: Path, boxes: list[list[float]], code: str, reading: str
    ) -> None:
        valid = [[0, 0, 1, 1]] * 10
        entries = [
            ENTRY | {"file": f"a_{number:06d}", "bbox": [box]}
            for number, box in enumerate([*boxes, *valid])
        ]
        with refused(code, "E_BOX_READING", where="vggss.json") as caught:
            read_annotation(write(tmp_path, entries))
        assert "2 of 12 " in problems(caught)[-1]
        assert reading in problems(caught)[-1]

    def test_all_problems_are_reported_at_once(self, tmp_path: Path) -> None:
        entries = [{"file": 1, "class": 2, "bbox": 3}, ENTRY, ENTRY | {"bbox": [[1], [2, "a"]]}]
        with refused("E_SCHEMA", kind=AnnotationError) as caught:
            read_annotation(write(tmp_path, entries))
        places = [problem.split()[1].rstrip(":") for problem in problems(caught)]
        assert places[:3] == ["0.file", "0.class", "0.bbox"]
        assert {"2.bbox.0.1", "2.bbox.1.1"} <= set(places)

    def test_a_repeated_id_is_refused(self, tmp_path: Path) -> None:
        with refused("E_ID_REPEATED", where="abcdefghijk_000030"):
            read_annotation(write(tmp_path, [ENTRY, ENTRY]))

    def test_a_key_that_stands_twice_is_refused_by_its_entry(self, tmp_path: Path) -> None:
        other = json.dumps(ENTRY)[:-1] + ', "bbox": [[0, 0, 1, 1]]}'
        with refused("E_KEY_REPEATED", where="entry 1.bbox"):
            read_annotation(
                write(tmp_path, f"[{json.dumps(ENTRY | {'file': 'a_000001'})}, {other}]")
            )

    def test_the_marks_of_an_unfinished_merge_are_told(self, tmp_path: Path) -> None:
        text = f"[\n<<<<<<< HEAD\n{json.dumps(ENTRY)}\n=======\n>>>>>>> other\n]"
        with refused("E_MERGE_CONFLICT", where="vggss.json: line 2 "):
            read_annotation(write(tmp_path, text))

    @pytest.mark.parametrize("content", ["{}", "null", '"text"', "3"])
    def test_content_other_than_a_list_is_refused(self, tmp_path: Path, content: str) -> None:
        with refused("E_SCHEMA", where="vggss.json"):
            read_annotation(write(tmp_path, content))

    def test_an_empty_list_is_refused(self, tmp_path: Path) -> None:
        with refused("E_FILE_EMPTY", where="vggss.json"):
            read_annotation(write(tmp_path, "[]"))

    @pytest.mark.parametrize(
        "content",
        ["", "[{", json.dumps([ENTRY])[:-3], "[" * 100_000, "<html></html>"],
        ids=["empty", "open", "truncated", "deep", "web page"],
    )
    def test_a_file_other_than_json_is_refused(self, tmp_path: Path, content: str) -> None:
        with refused("E_JSON", where="vggss.json"):
            read_annotation(write(tmp_path, content))

    def test_a_huge_number_is_refused(self, tmp_path: Path) -> None:
        with refused(where="vggss.json", kind=AnnotationError):
            read_annotation(write(tmp_path, "[" + "1" * 5000 + "]"))

    @pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
    def test_another_encoding_is_refused(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "vggss.json"
        path.write_text(
            json.dumps([ENTRY | {"class": "café"}], ensure_ascii=False), encoding=encoding
        )
        with refused("E_ENCODING"):
            read_annotation(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with refused("E_FILE_MISSING", where="vggss.json"):
            read_annotation(tmp_path / "vggss.json")

    def test_a_folder_in_place_of_the_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "vggss.json").mkdir()
        with refused("E_FILE_UNREADABLE"):
            read_annotation(tmp_path / "vggss.json")


class TestVerify:
    def test_a_complete_folder_has_nothing_missing_or_corrupt(self, vggss: Path) -> None:
        findings = TEST_SET.verify(vggss)
        assert {finding.level for finding in findings} == {"ok", "note"}
        texts = [f"{finding.item}: {finding.message}" for finding in findings]
        assert any(
            "3 samples, 4 boxes, 2 categories, 3 pictures, 3 sounds, 2 groups" in text
            for text in texts
        )
        assert "frames/: 3 of 3 images are usable" in texts
        assert "audio/: 3 of 3 sounds are usable; 3 of 16,000 Hz mono" in texts

    def test_corrupt_coordinates_and_empty_truths_are_noted_by_id(self, vggss: Path) -> None:
        notes = [finding for finding in TEST_SET.verify(vggss) if finding.level == "note"]
        far = [note.item for note in notes if "far outside" in note.message]
        empty = [note.item for note in notes if "no truth pixel" in note.message]
        assert far == ["-_cdefghij0_000001", "abcdefghijk_000120"]
        assert empty == ["abcdefghijk_000120"]

    def test_missing_and_corrupt_files_are_named(self, vggss: Path) -> None:
        (vggss / "frames" / "abcdefghijk_000030.png").unlink()
        (vggss / "frames" / "abcdefghijk_000120.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (vggss / "audio" / "abcdefghijk_000030.wav").write_bytes(b"")
        found = {
            (finding.level, finding.item)
            for finding in TEST_SET.verify(vggss)
            if finding.level in ("missing", "corrupt")
        }
        assert found == {
            ("missing", "frames/abcdefghijk_000030"),
            ("corrupt", "frames/abcdefghijk_000120.png"),
            ("corrupt", "audio/abcdefghijk_000030.wav"),
        }

    def test_a_summary_counts_what_is_usable(self, vggss: Path) -> None:
        (vggss / "frames" / "abcdefghijk_000030.png").unlink()
        summary = [finding for finding in TEST_SET.verify(vggss) if finding.item == "frames/"]
        assert [finding.message for finding in summary] == ["2 of 3 images are usable"]

    def test_a_folder_without_anything_is_reported_not_raised(self, tmp_path: Path) -> None:
        assert [finding.level for finding in TEST_SET.verify(tmp_path / "gone")] == ["missing"]
        assert [finding.item for finding in TEST_SET.verify(tmp_path)] == ["vggss.json"]
        assert [finding.level for finding in TEST_SET.verify(None)] == ["missing"]

    def test_every_problem_of_a_corrupt_annotation_is_a_finding(self, tmp_path: Path) -> None:
        write(tmp_path, [{"file": 1, "class": "a", "bbox": 3}])
        assert [finding.level for finding in TEST_SET.verify(tmp_path)] == ["corrupt", "corrupt"]
        (tmp_path / "vggss.json").write_bytes(b"\xff\xff")
        assert [finding.level for finding in TEST_SET.verify(tmp_path)] == ["corrupt"]

    def test_lists_are_looked_at_too(self, vggss: Path) -> None:
        (vggss / "vggss_heard_test.txt").write_text("zzzzzzzzzzz_000001\na/b\n")
        (vggss / "vggss_unheard_test.txt").unlink()
        findings = {finding.item: finding for finding in TEST_SET.verify(vggss)}
        assert findings["vggss_heard_test.txt"].level == "corrupt"
        assert findings["vggss_unheard_test.txt"].level == "note"


def test_the_layout_names_the_files_and_their_source() -> None:
    layout = TEST_SET.layout()
    for text in (
        "vggss/",
        "vggss.json",
        "frames/<id>.jpg",
        "audio/<id>.wav",
        "vggss_heard_test.txt",
        "hche11/Localizing-Visual-Sounds-the-Hard-Way",
        "frame 125",
    ):
        assert text in layout


def test_the_truth_of_an_entry_without_boxes_is_empty(tmp_path: Path) -> None:
    sample = read_annotation(write(tmp_path, [ENTRY | {"bbox": []}]))[0]
    np.testing.assert_array_equal(render(sample.annotation, "union", 3, 3), np.zeros((3, 3)))
