"""Truth as COCO JSON: the published facts are kept, and other tools draw the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from pycocotools.coco import COCO
from refusals import refused
from standins import folder_test_set

from ssl_bench.errors import DataError
from ssl_bench.interchange.coco import GRID, export_coco
from ssl_bench.testsets.annotations import Annotation, Boxes, Mask
from ssl_bench.testsets.base import Sample, TestSet
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


class TestPublished:
    """Each image carries what the test set published, bit by bit."""

    def test_the_facts_of_a_sample(self, exported: Path) -> None:
        stored = [each["ssl_bench"] for each in json.loads(exported.read_text())["images"]]
        for sample, facts in zip(invented(*EXAMPLES).samples, stored, strict=True):
            assert (facts["id"], facts["group"], facts["category"]) == (
                sample.id,
                sample.group,
                sample.category,
            )
            assert tuple(facts["categories"]) == sample.categories
            assert facts["kind"] == ("mask" if isinstance(sample.annotation, Mask) else "boxes")
        assert stored[4]["boxes"]["frame"] == [256, 256]
        assert stored[4]["boxes"]["annotators"] == 3
        assert stored[5]["boxes"] is None
        assert stored[6]["boxes"]["corners"] == [[0, 0, 1, 1]]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
    @given(
        npst.arrays(
            np.float64,
            st.tuples(st.integers(0, 4), st.just(4)),
            elements=st.floats(-0.2, 1.2) | st.sampled_from([CORRUPT, 0.1 + 0.2]),
        )
    )
    def test_corners_lose_no_digit(self, tmp_path: Path, corners: NDArray[np.float64]) -> None:
        export_coco(invented(Boxes(corners)), tmp_path / "truth.json")
        (image,) = json.loads((tmp_path / "truth.json").read_text())["images"]
        stored = np.array(image["ssl_bench"]["boxes"]["corners"], np.float64).reshape(-1, 4)
        np.testing.assert_array_equal(stored, corners)

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


class TestRefusals:
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_coordinate_that_json_cannot_hold_leaves_no_file(
        self, tmp_path: Path, value: float
    ) -> None:
        path = tmp_path / "truth.json"
        with pytest.raises(DataError):
            export_coco(invented(boxes((0, 0, 1, value))), path)
        assert list(tmp_path.iterdir()) == []

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "truth.json").mkdir()
        with refused("E_FILE_UNWRITABLE", where="truth.json"):
            export_coco(invented(boxes((0, 0, 1, 1))), tmp_path / "truth.json")
        assert [path.name for path in tmp_path.iterdir()] == ["truth.json"]


def test_images_have_their_real_endings(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for name in ("clip-0.png", "clip-1.JPG"):
        (tmp_path / "frames" / name).touch()
    samples = [Sample(f"clip-{n}", f"clip-{n}", "dog", EXAMPLES[0]) for n in range(3)]
    export_coco(folder_test_set(samples, tmp_path), tmp_path / "truth.json")
    images = json.loads((tmp_path / "truth.json").read_text())["images"]
    assert [each["file_name"] for each in images] == ["clip-0.png", "clip-1.JPG", "clip-2.jpg"]
