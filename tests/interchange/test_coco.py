"""COCO exchange: the same truth comes back, and disagreement is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from pycocotools.coco import COCO
from standins import folder_test_set

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.interchange.coco import GRID, export_coco, import_coco
from ssl_bench.testsets.annotations import Annotation, Boxes, Mask
from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.testsets.folder import truth_digest
from ssl_bench.testsets.truth import render

CORRUPT = -2.8823037615171176e16


def boxes(*corners: tuple[float, float, float, float]) -> Boxes:
    return Boxes(np.array(corners, dtype=np.float64).reshape(-1, 4))


def invented(*annotations: Annotation) -> TestSet:
    samples = [
        Sample(
            f"clip-{number}", f"video-{number % 2}", f"kind {number % 3}", annotation, ("a", "b")
        )
        for number, annotation in enumerate(annotations)
    ]
    return folder_test_set(samples, Path())


EXAMPLES: tuple[Annotation, ...] = (
    boxes((0.1, 0.2, 0.7, 0.9)),
    boxes((0.1, 0.2, 0.7, 0.9), (0.3, 0.3, 0.6, 1.0), (0.1, 0.2, 0.7, 0.9)),
    boxes((0.1, 0.2, 0.7, CORRUPT)),
    boxes(),
    Boxes(np.array([[1.0, 1.0, 200.0, 256.0]]), frame=(256, 256), annotators=3),
    Mask(np.eye(9, dtype=np.bool_)[:5]),
    Mask(np.zeros((3, 4), dtype=np.bool_), boxes=boxes((0.0, 0.0, 1.0, 1.0))),
)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "truth.json"
    export_coco(invented(*EXAMPLES), path)
    return path


def annotation_equal(one: Annotation, other: Annotation) -> bool:
    if isinstance(one, Mask) and isinstance(other, Mask):
        same_boxes = (one.boxes is None) == (other.boxes is None)
        if one.boxes is not None and other.boxes is not None:
            same_boxes = annotation_equal(one.boxes, other.boxes)
        return same_boxes and np.array_equal(one.pixels, other.pixels)
    if isinstance(one, Boxes) and isinstance(other, Boxes):
        return (
            np.array_equal(one.corners, other.corners)
            and one.corners.shape == other.corners.shape
            and one.frame == other.frame
            and one.annotators == other.annotators
        )
    return False


class TestRoundTrip:
    def test_everything_that_a_sample_says_comes_back(self, exported: Path) -> None:
        samples = import_coco(exported)
        originals = invented(*EXAMPLES).samples
        assert len(samples) == len(originals)
        for sample, original in zip(samples, originals, strict=True):
            assert annotation_equal(sample.annotation, original.annotation)
            assert (sample.id, sample.group, sample.category, sample.categories) == (
                original.id,
                original.group,
                original.category,
                original.categories,
            )

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
    @given(
        npst.arrays(
            np.float64,
            st.tuples(st.integers(0, 4), st.just(4)),
            elements=st.floats(-0.2, 1.2) | st.sampled_from([CORRUPT, 0.1 + 0.2]),
        )
    )
    def test_truth_maps_of_boxes_are_identical(
        self, tmp_path: Path, corners: NDArray[np.float64]
    ) -> None:
        path = tmp_path / "truth.json"
        test_set = invented(Boxes(corners))
        export_coco(test_set, path)
        samples = import_coco(path)
        assert truth_digest(samples) == test_set.digest
        for size in (224, 37):
            np.testing.assert_array_equal(
                render(samples[0].annotation, "consensus", size, size),
                render(Boxes(corners), "consensus", size, size),
            )

    def test_the_same_test_set_gives_the_same_bytes(self, tmp_path: Path, exported: Path) -> None:
        export_coco(invented(*EXAMPLES), tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == exported.read_bytes()


class TestForOtherTools:
    def test_coco_tools_draw_the_same_truth(self, exported: Path) -> None:
        tools = COCO(str(exported))
        for number, annotation in enumerate(EXAMPLES, 1):
            drawn = [tools.annToMask(entry) for entry in tools.imgToAnns[number]]
            if isinstance(annotation, Mask):
                expected = annotation.pixels.astype(np.float32)
            else:
                expected = render(annotation, "union", GRID, GRID)
            union = np.any(drawn, axis=0) if drawn else np.zeros((GRID, GRID))
            np.testing.assert_array_equal(union, expected)

    def test_boxes_are_left_top_width_height_in_pixels(self, exported: Path) -> None:
        entries = json.loads(exported.read_text())["annotations"]
        assert entries[0]["bbox"] == [22, 44, 134, 157]
        assert entries[0]["area"] == 134 * 157
        corrupt = next(entry for entry in entries if entry["image_id"] == 3)
        assert corrupt["bbox"] == [0, 0, 0, 0]
        assert corrupt["area"] == 0

    def test_categories_are_numbered_by_name(self, exported: Path) -> None:
        content = json.loads(exported.read_text())
        assert content["categories"] == [
            {"id": 1, "name": "kind 0"},
            {"id": 2, "name": "kind 1"},
            {"id": 3, "name": "kind 2"},
        ]
        assert content["images"][0]["ssl_bench"]["id"] == "clip-0"
        assert content["info"]["ssl_bench"]["digest"] == invented(*EXAMPLES).digest


def disagree(content: dict[str, Any]) -> None:
    content["images"][0]["ssl_bench"]["boxes"]["corners"][0][0] = 0.5


def drop(content: dict[str, Any]) -> None:
    del content["annotations"][1]


def rename(content: dict[str, Any]) -> None:
    content["images"][1]["ssl_bench"]["id"] = "clip-0"


def renumber(content: dict[str, Any]) -> None:
    content["images"][3]["id"] = 1


def stray(content: dict[str, Any]) -> None:
    content["annotations"][0]["image_id"] = 99


def damage(content: dict[str, Any]) -> None:
    content["annotations"][0]["segmentation"]["counts"] = "7"


def enlarge(content: dict[str, Any]) -> None:
    content["images"][5]["width"] = 10


def move(content: dict[str, Any]) -> None:
    content["annotations"][0]["bbox"][0] += 1


def forget_boxes(content: dict[str, Any]) -> None:
    content["images"][0]["ssl_bench"]["boxes"] = None


def forget(content: dict[str, Any]) -> None:
    del content["images"][2]["ssl_bench"]


def mistype(content: dict[str, Any]) -> None:
    content["images"][2]["ssl_bench"]["boxes"]["corners"][0][3] = "far"


def shorten(content: dict[str, Any]) -> None:
    content["images"][2]["ssl_bench"]["boxes"]["corners"][0].pop()


def flatten(content: dict[str, Any]) -> None:
    content["images"][2]["ssl_bench"]["boxes"]["frame"] = [0, 1]


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            (disagree, "clip-0: the segmentation of box 0"),
            (drop, "clip-1: 3 boxes were published, and there are 2"),
            (rename, "'clip-0' occurs more than once"),
            (renumber, "image number 1 occurs more than once"),
            (stray, "image 99"),
            (damage, "clip-0: a run-length code does not cover"),
            (enlarge, "clip-5: a segmentation of shape"),
            (move, "clip-0: the bbox of annotation 0"),
            (forget_boxes, "clip-0: the published boxes are missing"),
            (forget, r"images\.2\.ssl_bench"),
            (mistype, r"images\.2\.ssl_bench\.boxes\.corners\.0\.3"),
            (shorten, r"images\.2\.ssl_bench\.boxes\.corners\.0"),
            (flatten, r"images\.2\.ssl_bench\.boxes\.frame\.0"),
        ],
    )
    def test_what_does_not_agree_is_named(
        self, exported: Path, change: Callable[[dict[str, Any]], None], complaint: str
    ) -> None:
        content = json.loads(exported.read_text())
        before = copy.deepcopy(content)
        change(content)
        assert content != before
        exported.write_text(json.dumps(content))
        with pytest.raises(AnnotationError, match=complaint):
            import_coco(exported)

    def test_all_problems_are_reported_at_once(self, exported: Path) -> None:
        content = json.loads(exported.read_text())
        disagree(content)
        enlarge(content)
        exported.write_text(json.dumps(content))
        with pytest.raises(AnnotationError, match="2 problems"):
            import_coco(exported)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": [', '{"images": 3}'])
    def test_other_content_is_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "truth.json"
        path.write_text(text)
        with pytest.raises(AnnotationError, match=r"truth\.json"):
            import_coco(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"gone\.json"):
            import_coco(tmp_path / "gone.json")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_coordinate_that_json_cannot_hold_leaves_no_file(
        self, tmp_path: Path, value: float
    ) -> None:
        path = tmp_path / "truth.json"
        with pytest.raises(DataError, match=r"not a number|not finite"):
            export_coco(invented(boxes((0, 0, 1, value))), path)
        assert list(tmp_path.iterdir()) == []

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "truth.json").mkdir()
        with pytest.raises(DataError, match=r"truth\.json: the truth cannot be written"):
            export_coco(invented(boxes((0, 0, 1, 1))), tmp_path / "truth.json")
        assert [path.name for path in tmp_path.iterdir()] == ["truth.json"]
