"""Flickr-SoundNet: XML annotations, the corrected list, what is refused and reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from ssl_bench.errors import AnnotationError
from ssl_bench.media.check import CheckOptions
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.flickr import (
    KNOWN_LISTS,
    TEST_SET,
    read_annotation,
    read_clip_list,
)
from ssl_bench.testsets.folder import FolderDefinition
from ssl_bench.testsets.truth import render

BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [
 <!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">
]>
<annotation><object><bbox><i>&c;</i></bbox></object></annotation>"""

FETCHING = """<!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/passwd">]>
<annotation><object><bbox>&secret;</bbox></object></annotation>"""


def flickr_xml(*boxes: Sequence[object]) -> str:
    """An annotation of one clip, in the layout of the published files."""
    drawn = "".join(
        "<bbox><ignored>7</ignored>"
        + "".join(
            f"<{tag}>{value}</{tag}>"
            for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        + "</bbox>"
        for box in boxes
    )
    return f"<annotation><object>{drawn}</object></annotation>"


@pytest.fixture
def flickr(tmp_path: Path, write_media: Callable[[Path, list[str]], None]) -> Path:
    """A folder of three invented Flickr clips, complete."""
    folder = tmp_path / "flickr"
    (folder / "annotations").mkdir(parents=True)
    annotations = {
        "9900000001": [(33, 1, 128, 256), (65, 1, 256, 256)],
        "9900000002": [(10, 20, 30, 40)],
        "3908875350": [(1, 1, 256, 256)] * 3,
    }
    for identifier, boxes in annotations.items():
        (folder / "annotations" / f"{identifier}.xml").write_text(flickr_xml(*boxes))
    (folder / "flickr_test.txt").write_text("\n".join(annotations) + "\n")
    write_media(folder, list(annotations))
    return folder


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "clip.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class TestAnnotation:
    def test_the_first_child_of_a_box_is_ignored(self, tmp_path: Path) -> None:
        boxes = read_annotation(write(tmp_path, flickr_xml((1, 2, 3, 4), (5, 6, 256, 8)))).boxes
        assert boxes.corners.tolist() == [[1, 2, 3, 4], [5, 6, 256, 8]]
        assert boxes.frame == (256, 256)
        assert boxes.annotators == 3

    def test_blanks_around_a_number_do_not_count(self, tmp_path: Path) -> None:
        boxes = read_annotation(write(tmp_path, flickr_xml((" 1\n", 2, 3, "\t4 ")))).boxes
        assert boxes.corners.tolist() == [[1, 2, 3, 4]]

    def test_other_elements_are_ignored_and_named(self, tmp_path: Path) -> None:
        text = flickr_xml((1, 2, 3, 4)).replace("<bbox>", "<name>dog</name><bbox>")
        found = read_annotation(write(tmp_path, text))
        assert len(found.boxes) == 1
        assert found.others == ("name",)

    def test_a_single_box_is_by_one_person_and_its_truth_is_plain(self, tmp_path: Path) -> None:
        boxes = read_annotation(write(tmp_path, flickr_xml((0, 0, 128, 128)))).boxes
        assert boxes.annotators == 1
        for convention in ("consensus", "annotator-mean", "union"):
            truth = render(boxes, convention, 224, 224)
            assert np.unique(truth).tolist() == [0, 1]
            assert truth.mean() == 0.25

    @pytest.mark.parametrize(("people", "mean"), [(1, 1.0), (2, 0.5), (4, 0.25)])
    def test_a_file_may_say_how_many_people_there_were(
        self, tmp_path: Path, people: int, mean: float
    ) -> None:
        text = flickr_xml((1, 1, 128, 256), (129, 1, 256, 256))
        said = text.replace("<annotation>", "<annotation>" + "<annotator/>" * people)
        found = read_annotation(write(tmp_path, said))
        assert (found.boxes.annotators, found.others) == (people, ())
        assert render(found.boxes, "annotator-mean", 224, 224)[100, 50] == np.float32(mean)
        consensus = render(found.boxes, "consensus", 224, 224)[100, 50]
        assert consensus == (1 if people == 1 else 0.5)

    @pytest.mark.parametrize(
        ("box", "code"), [((9, 1, 5, 9), "E_BOX_ORDER"), ((1, 1, 640, 9), "E_BOX_RANGE")]
    )
    def test_a_box_out_of_order_or_frame_is_refused_by_its_number(
        self, tmp_path: Path, box: tuple[int, ...], code: str
    ) -> None:
        with refused(code, where="clip.xml: box 1"):
            read_annotation(write(tmp_path, flickr_xml((1, 1, 256, 256), box)))

    def test_a_long_tag_is_cut(self, flickr: Path) -> None:
        text = flickr_xml((1, 2, 3, 4)).replace("<bbox>", f"<{'a' * 900_000}/><bbox>")
        (flickr / "annotations" / "9900000002.xml").write_text(text)
        assert max(len(finding.message) for finding in TEST_SET.verify(flickr)) < 200

    def test_boxes_of_several_objects_are_pooled(self, tmp_path: Path) -> None:
        one, two = flickr_xml((1, 2, 3, 4)), flickr_xml((5, 6, 7, 8))
        inner = one.removesuffix("</annotation>") + two.removeprefix("<annotation>")
        boxes = read_annotation(write(tmp_path, inner)).boxes
        assert boxes.corners.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]

    def test_a_clip_without_boxes_has_an_empty_truth(self, tmp_path: Path) -> None:
        boxes = read_annotation(write(tmp_path, flickr_xml())).boxes
        assert not render(boxes, "consensus", 224, 224).any()

    @pytest.mark.parametrize("declaration", [BOMB, FETCHING, "<!DOCTYPE a><annotation/>"])
    def test_document_types_and_entities_are_refused(
        self, tmp_path: Path, declaration: str
    ) -> None:
        with refused("E_XML_DOCTYPE", where="clip.xml"):
            read_annotation(write(tmp_path, declaration))

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"no xml",
            flickr_xml((1, 2, 3, 4))[:-5].encode(),
            b"\xff\xfe" + flickr_xml((1, 2, 3, 4)).encode(),
            b'<?xml version="1.0" encoding="klingon"?><annotation/>',
            b'<?xml version="1.0" encoding="utf-16"?><annotation/>',
            b"<annotation>\x00</annotation>",
            b"<a>" * 100_000,
        ],
        ids=["empty", "text", "truncated", "mark", "unknown", "wrong", "null", "deep"],
    )
    def test_a_file_that_is_no_xml_is_refused(self, tmp_path: Path, content: bytes) -> None:
        with refused("E_XML", where="clip.xml"):
            read_annotation(write(tmp_path, content))

    @pytest.mark.parametrize(
        "box",
        [
            "<bbox/>",
            "<bbox><i/><a>1</a><a>2</a><a>3</a></bbox>",
            "<bbox><i/><a>1</a><a>2</a><a>3</a><a>4</a><a>5</a></bbox>",
            "<bbox><i/><a>1</a><a>2</a><a>3</a><a>4.5</a></bbox>",
            "<bbox><i/><a>1</a><a>2</a><a>3</a><a>nan</a></bbox>",
            "<bbox><i/><a>1</a><a>2</a><a>3</a><a>99999999999999999999</a></bbox>",
            "<bbox><i/><a>1</a><a>2</a><a>3</a><a/></bbox>",
            "<bbox><i/><a>1</a><a>2</a><a>3</a><a>4<b/>5</a></bbox>",
            "<bbox><i/><ymin>1</ymin><xmin>2</xmin><ymax>3</ymax><xmax>4</xmax></bbox>",
        ],
    )
    def test_a_malformed_box_is_refused_by_its_number(self, tmp_path: Path, box: str) -> None:
        text = flickr_xml((1, 2, 3, 4)).replace("</object>", f"{box}</object>")
        with refused("E_BOX", where="clip.xml: box 1 "):
            read_annotation(write(tmp_path, text))

    def test_a_huge_file_is_not_parsed(self, tmp_path: Path) -> None:
        with refused("E_FILE_SIZE", where="clip.xml"):
            read_annotation(write(tmp_path, flickr_xml((1, 2, 3, 4)) + " " * 2**20))


class TestClipList:
    def test_the_wrong_id_is_corrected_in_its_place(self, tmp_path: Path) -> None:
        path = tmp_path / "flickr_test.txt"
        path.write_text("11\n3908875357\n22\n")
        assert read_clip_list(path) == ["11", "3908875350", "22"]

    def test_the_right_id_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "flickr_test.txt"
        path.write_text("3908875350\n11\n")
        assert read_clip_list(path) == ["3908875350", "11"]

    def test_a_list_with_both_holds_the_clip_once(self, tmp_path: Path) -> None:
        path = tmp_path / "flickr_test.txt"
        path.write_text("3908875350\n3908875357\n11\n")
        assert read_clip_list(path) == ["3908875350", "11"]

    def test_blank_lines_and_line_ends_do_not_count(self, tmp_path: Path) -> None:
        path = tmp_path / "flickr_test.txt"
        path.write_bytes(b"\xef\xbb\xbf11\r\n\r\n  22  \r\n")
        assert read_clip_list(path) == ["11", "22"]

    @pytest.mark.parametrize(
        ("content", "code", "place"),
        [
            (b"", "E_FILE_EMPTY", ""),
            (b"11\n22\n11\n", "E_ID_REPEATED", "11"),
            (b"11\n../22\n", "E_ID", "line 2"),
            (b"11\n\xff\xff\n", "E_ENCODING", ""),
            (b"11\n2\x002\n", "E_ID", "line 2"),
        ],
    )
    def test_a_malformed_list_is_refused(
        self, tmp_path: Path, content: bytes, code: str, place: str
    ) -> None:
        path = tmp_path / "flickr_test.txt"
        path.write_bytes(content)
        with refused(code, where=place):
            read_clip_list(path)

    def test_both_lists_in_use_are_named(self) -> None:
        assert sorted(KNOWN_LISTS.values()) == ["249 clips", "250 clips, corrected"]


class TestOpening:
    def test_samples_follow_the_list(self, flickr: Path) -> None:
        test_set = open_test_set("flickr", data=flickr.parent)
        assert [sample.id for sample in test_set.samples] == [
            "9900000001",
            "9900000002",
            "3908875350",
        ]
        assert test_set.truth_convention == "consensus"
        assert test_set.revision is None
        annotation = test_set["9900000001"].annotation
        assert isinstance(annotation, Boxes)
        truth = render(annotation, "consensus", 224, 224)
        np.testing.assert_array_equal(np.unique(truth[:, 10:]), [0, 0.5, 1])
        assert test_set.image("9900000001").shape == (30, 40, 3)
        assert test_set.waveform("9900000001").rate == 16000

    def test_the_list_with_the_wrong_id_is_the_same_test_set(self, flickr: Path) -> None:
        right = open_test_set("flickr", data=flickr.parent)
        path = flickr / "flickr_test.txt"
        path.write_text(path.read_text().replace("3908875350", "3908875357"))
        assert open_test_set("flickr", data=flickr.parent).digest == right.digest

    def test_the_digest_ignores_the_spelling_of_the_files(self, flickr: Path) -> None:
        before = open_test_set("flickr", data=flickr.parent).digest
        path = flickr / "annotations" / "9900000002.xml"
        path.write_text(flickr_xml(("010", 20, 30, " 40")).replace("><", ">\n<"))
        assert open_test_set("flickr", data=flickr.parent).digest == before
        path.write_text(flickr_xml((10, 20, 30, 41)))
        assert open_test_set("flickr", data=flickr.parent).digest != before

    def test_every_unusable_annotation_is_reported_at_once(self, flickr: Path) -> None:
        (flickr / "annotations" / "9900000001.xml").unlink()
        (flickr / "annotations" / "9900000002.xml").write_text("<a>")
        with refused("E_FILE_MISSING", "E_XML") as caught:
            open_test_set("flickr", data=flickr.parent)
        assert isinstance(caught.value, AnnotationError)
        assert [problem.split(":")[0] for problem in caught.value.problems] == [
            "annotations/9900000001.xml",
            "annotations/9900000002.xml",
        ]

    def test_boxes_of_another_form_are_told_for_the_whole_folder(self, flickr: Path) -> None:
        for number, box in ((1, (100, 200, 50, 30)), (2, (40, 200, 90, 80))):
            path = flickr / "annotations" / f"990000000{number}.xml"
            path.write_text(flickr_xml(box))
        with refused("E_BOX_ORDER", "E_BOX_READING"):
            open_test_set("flickr", data=flickr.parent)
        corrupt = [item for item in TEST_SET.verify(flickr) if item.level == "corrupt"]
        assert [item.item for item in corrupt] == [
            "annotations/9900000001.xml",
            "annotations/9900000002.xml",
            "annotations/",
        ]

    def test_an_unknown_option_is_refused(self, flickr: Path) -> None:
        with refused("E_TEST_SET_OPTION"):
            open_test_set("flickr", data=flickr.parent, options={"seed": 2})


class TestVerify:
    def test_a_complete_folder_has_nothing_missing_or_corrupt(self, flickr: Path) -> None:
        assert {finding.level for finding in TEST_SET.verify(flickr)} == {"ok", "note"}

    def test_the_corrected_id_is_noted(self, flickr: Path) -> None:
        (flickr / "flickr_test.txt").write_text("3908875357\n")
        notes = [item.message for item in TEST_SET.verify(flickr) if item.level == "note"]
        assert "3908875357 has no annotation and is read as 3908875350" in notes

    def test_its_absence_from_a_list_is_noted(self, flickr: Path) -> None:
        (flickr / "flickr_test.txt").write_text("9900000001\n")
        notes = [item.message for item in TEST_SET.verify(flickr) if item.level == "note"]
        assert "3908875350 is not listed" in notes

    def test_missing_and_corrupt_files_are_named(self, flickr: Path) -> None:
        (flickr / "annotations" / "9900000001.xml").unlink()
        (flickr / "annotations" / "9900000002.xml").write_text(BOMB)
        (flickr / "audio" / "9900000002.wav").unlink()
        found = {
            (item.level, item.item)
            for item in TEST_SET.verify(flickr)
            if item.level in ("missing", "corrupt")
        }
        assert found == {
            ("missing", "annotations/9900000001.xml"),
            ("corrupt", "annotations/9900000002.xml"),
            ("missing", "audio/9900000002"),
        }

    @pytest.mark.parametrize(
        ("content", "note"),
        [
            (flickr_xml((5, 1, 5, 9), (1, 9, 9, 9)), "no box has an area"),
            (flickr_xml(), "no box has an area"),
            (flickr_xml((0, 1, 5, 9)), "outside 1..256"),
            (flickr_xml((1, 1, 257, 9)), "outside 1..256"),
            (
                flickr_xml((1, 1, 5, 9)).replace("<bbox>", "<name/><bbox>"),
                "other than bbox are ignored: name",
            ),
        ],
    )
    def test_oddities_are_noted_by_clip(self, flickr: Path, content: str, note: str) -> None:
        (flickr / "annotations" / "9900000002.xml").write_text(content)
        found = TEST_SET.verify(flickr, CheckOptions(decode=False))
        notes = [item for item in found if "9900000002" in item.item]
        assert [item.level for item in notes] == ["note"]
        assert note in notes[0].message
        assert len(open_test_set("flickr", data=flickr.parent)) == 3

    def test_a_folder_without_anything_is_reported_not_raised(self, tmp_path: Path) -> None:
        assert [item.level for item in TEST_SET.verify(tmp_path / "gone")] == ["missing"]
        assert [item.item for item in TEST_SET.verify(tmp_path)] == ["flickr_test.txt"]
        (tmp_path / "flickr_test.txt").write_text("a b\n")
        assert [item.level for item in TEST_SET.verify(tmp_path)] == ["corrupt"]


def test_the_layout_names_the_files_and_their_source() -> None:
    layout = TEST_SET.layout()
    for text in (
        "annotations/<id>.xml",
        "flickr_test.txt",
        "ardasnck/learning_to_localize_sound_source",
        "3908875350",
    ):
        assert text in layout


def test_folders_are_looked_into_once(
    flickr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    folders = type(TEST_SET).media_folders

    def counted(self: FolderDefinition, folder: Path, kind: str) -> list[Path]:
        looked.append(kind)
        return folders(TEST_SET, folder, kind)

    monkeypatch.setattr(type(TEST_SET), "media_folders", counted)
    test_set = open_test_set("flickr", data=tmp_path)
    for sample in test_set.samples:
        assert test_set.image_file(sample.id) != test_set.sound_file(sample.id)
    assert sorted(looked) == ["audio", "frames"]
    assert flickr.is_dir()


def test_the_official_list_and_the_folders_of_the_archive_work_as_they_come(
    flickr: Path, tmp_path: Path
) -> None:
    (flickr / "flickr_test.txt").unlink()
    listed = ["9900000001.png", "9900000002.png", "3908875357.png"]
    (flickr / "test_list.txt").write_text("\n".join(listed) + "\n")
    (flickr / "annotations").rename(flickr / "Annotations")
    for number, clip in enumerate(("9900000001", "9900000002", "3908875350")):
        part = flickr / "Data" / str(number)
        part.mkdir(parents=True)
        (flickr / "frames" / f"{clip}.png").rename(part / f"{clip}.png")
        (flickr / "audio" / f"{clip}.wav").rename(part / f"{clip}.wav")
    test_set = open_test_set("flickr", data=tmp_path)
    assert [each.id for each in test_set.samples] == ["9900000001", "9900000002", "3908875350"]
    assert test_set.image("3908875350").ndim == 3
    assert test_set.waveform("9900000002").rate == 16000
    levels = {finding.item: finding.level for finding in TEST_SET.verify(flickr)}
    assert (levels["frames/"], levels["audio/"]) == ("ok", "ok")
