"""COCO instances as a description reads them, and what was exported, read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_sets import COCO, add_images, coco, describe, instances, opened, problems_of, scenes
from pycocotools import mask as coco_mask
from refusals import refused

from ssl_bench.interchange.coco import export_coco
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.testsets import TestSet, open_test_set
from ssl_bench.testsets.annotations import Boxes, Mask
from ssl_bench.testsets.folder import truth_digest
from ssl_bench.testsets.truth import encode_rle, render
from ssl_bench.trials.compositions import compose, open_trials
from ssl_bench.trials.trial_set import TrialSet

BOX = {"bbox": [4, 3, 20, 15]}
INSIDE = np.zeros((30, 40), np.bool_)
INSIDE[3:18, 4:24] = True
POLYGON = {"segmentation": [[4, 3, 24, 3, 24, 18, 4, 18]]}
CODE = {"segmentation": encode_rle(INSIDE)}
RUNS = [4 * 30 + 3, *[15, 15] * 19, 15, 12 + 16 * 30]
COUNTS = {"segmentation": {"size": [30, 40], "counts": RUNS}}


def boxes_of(test_set: TestSet) -> list[list[list[float]]]:
    found = []
    for sample in test_set.samples:
        assert isinstance(sample.annotation, Boxes)
        found.append(sample.annotation.corners.tolist())
    return found


def compose_on(protocol: str, test_set: TestSet) -> TrialSet:
    return compose(load_protocol(protocol).on(test_set.name), test_set)


class TestObjects:
    @pytest.mark.parametrize("shape", [POLYGON, CODE, COUNTS], ids=["polygon", "code", "counts"])
    def test_every_spelling_of_a_mask_draws_the_same(
        self, tmp_path: Path, shape: dict[str, Any]
    ) -> None:
        test_set = opened(coco(tmp_path, instances({**shape, **BOX})))
        annotation = test_set.samples[0].annotation
        assert isinstance(annotation, Mask)
        np.testing.assert_array_equal(annotation.pixels, INSIDE)
        assert test_set.truth_convention == "mask"
        assert annotation.boxes is not None
        assert annotation.boxes.corners.tolist() == [[4, 3, 24, 18]]

    def test_boxes_are_the_truth_where_a_mask_is_missing_or_by_choice(self, tmp_path: Path) -> None:
        content = instances({**BOX, **CODE}, {"bbox": [0, 0, 5, 5], "category_id": 2})
        test_set = opened(coco(tmp_path / "a", content))
        assert (test_set.truth_convention, len(test_set)) == ("union", 2)
        more = 'annotation.truth = "boxes"\n'
        test_set = opened(coco(tmp_path / "b", instances({**BOX, **CODE}), more))
        assert boxes_of(test_set) == [[[4, 3, 24, 18]]]
        truth = render(test_set.samples[0].annotation, "union", 30, 40)
        np.testing.assert_array_equal(truth, INSIDE)

    def test_objects_of_one_category_are_one_sample(self, tmp_path: Path) -> None:
        test_set = opened(coco(tmp_path, instances(BOX, {"bbox": [0, 0, 3, 3]})))
        assert boxes_of(test_set) == [[[4, 3, 24, 18], [0, 0, 3, 3]]]
        assert test_set.samples[0].id == "1"

    def test_without_a_sound_anywhere_all_objects_of_a_picture_sound(self, tmp_path: Path) -> None:
        dog, cat = opened(coco(tmp_path, instances(BOX, {**BOX, "category_id": 2}))).samples
        assert (dog.id, cat.id, cat.sound) == ("1.dog", "1.cat", "1.dog")
        assert dog.attributes == {"image": "1", "type": "A", "n_capable": 2}

    def test_each_object_may_have_its_own_sound_or_none(self, tmp_path: Path) -> None:
        content = instances(
            {**BOX, "sound": "barks/1.wav"}, {**BOX, "category_id": 2}, {**BOX, "category_id": 3}
        )
        found = problems_of(coco(tmp_path, content))
        assert {each.code for each in found} == {"E_SILENT"}
        assert found[0].startswith("annotation 1 (id 101): ")
        folder = coco(tmp_path, content, 'annotation.never_heard = ["cat", "tree"]\n')
        test_set = opened(folder)
        (dog,) = test_set.samples
        assert (dog.category, dog.categories) == ("dog", ("cat", "dog", "tree"))
        assert test_set.sound_name(dog.id) == "barks/1"

    def test_the_field_of_the_sound_and_attributes(self, tmp_path: Path) -> None:
        content = instances({**BOX, "scene": "street"})
        content["images"][0]["clip"] = "x.flac"
        more = 'annotation.sound = "clip"\nannotation.attributes = ["scene"]\n'
        test_set = opened(coco(tmp_path, content, more))
        assert test_set.samples[0].attributes == {"scene": "street"}
        assert test_set.sound_name("1") == "x"

    def test_the_picture_must_have_the_stated_size(self, tmp_path: Path) -> None:
        folder = coco(tmp_path, instances(BOX))
        add_images(folder, ["1"])
        assert len(opened(folder)) == 1
        add_images(folder, ["1"], size=(41, 30))
        (found,) = problems_of(folder)
        assert (found.code, found.partition(":")[0]) == ("E_IMAGE_SIZE", "annotation 0 (id 100)")


class TestRefusals:
    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"bbox": [4, 3, 20, float("nan")]}, "E_SCHEMA"),
            ({"bbox": [4, 3, 20]}, "E_SCHEMA"),
            ({"bbox": [4, 3, 20, 40]}, "E_BOX_RANGE"),
            ({"bbox": [4, 3, -2, 4]}, "E_BOX_ORDER"),
            ({"bbox": None}, "E_BOX"),
            ({**BOX, "image_id": 9}, "E_IMAGE_UNKNOWN"),
            ({**BOX, "category_id": 9}, "E_CATEGORY"),
            ({**BOX, "id": "x"}, "E_SCHEMA"),
            ({**BOX, "segmentation": [[0, 0, 5, 5]]}, "E_POLYGON"),
            ({**BOX, "segmentation": [[0, 0, 5, 5, 5]]}, "E_POLYGON"),
            ({**BOX, "segmentation": [[0, 0, 5, 5, 5, float("inf")]]}, "E_SCHEMA"),
            ({**BOX, "segmentation": {"size": [30, 40]}}, "E_SCHEMA"),
            ({**BOX, "segmentation": {"size": [30, 40], "counts": [-1, 1201]}}, "E_SCHEMA"),
        ],
    )
    def test_a_bad_object_is_named_by_number_and_id(
        self, tmp_path: Path, wrong: dict[str, Any], code: str
    ) -> None:
        found = problems_of(coco(tmp_path, instances(BOX, wrong)))
        assert {each.code for each in found} == {code}
        assert all(each.startswith("annotation 1 (id ") for each in found)

    @pytest.mark.parametrize(
        ("segmentation", "code"),
        [
            ([[0, 0, 5, 5, 5, 99]], "E_BOX_RANGE"),
            ([], "E_MASK_MISSING"),
            ({"size": [40, 30], "counts": CODE["segmentation"]["counts"]}, "E_RLE_SIZE"),
            ({"size": [30, 40], "counts": "22"}, "E_RLE_COVER"),
            ({"size": [30, 40], "counts": "\x7f"}, "E_RLE_COUNTS"),
            ({"size": [30, 40], "counts": [5, 5]}, "E_RLE_COVER"),
        ],
    )
    def test_a_mask_that_does_not_fit_its_picture(
        self, tmp_path: Path, segmentation: object, code: str
    ) -> None:
        content = instances({**BOX, **CODE}, {**BOX, "segmentation": segmentation})
        (found,) = problems_of(coco(tmp_path, content))
        assert found.code == code
        assert found.startswith("annotation 1 (id 101): ")

    def test_all_problems_are_told_at_once(self, tmp_path: Path) -> None:
        content = instances({"bbox": [0, 0, 99, 1]}, {**BOX, "image_id": 2}, {**BOX, "id": 100})
        content["images"].append(content["images"][0])
        content["images"].append({**content["images"][0], "id": 3, "file_name": "../x.png"})
        content["annotations"].append({**BOX, "id": 7, "image_id": 3, "category_id": 1})
        found = problems_of(coco(tmp_path, content))
        assert sorted(each.code for each in found) == [
            "E_BOX_RANGE",
            "E_ID",
            "E_ID_REPEATED",
            "E_ID_REPEATED",
            "E_ID_REPEATED",
            "E_IMAGE_UNKNOWN",
        ]

    def test_of_several_names_the_wrong_one_is_told(self, tmp_path: Path) -> None:
        content = instances({**BOX, "sound": "bell"})
        content["images"][0]["file_name"] = "café.png"
        (found,) = problems_of(coco(tmp_path, content))
        assert found.code == "E_ID"
        assert "'café'" in found
        assert "bell" not in found

    def test_without_objects_there_is_no_sample(self, tmp_path: Path) -> None:
        (found,) = problems_of(coco(tmp_path, instances()))
        assert found.code == "E_FILE_EMPTY"

    def test_a_key_that_stands_twice(self, tmp_path: Path) -> None:
        text = json.dumps(instances(BOX)).replace('"id": 100', '"id": 100, "id": 101')
        with refused("E_KEY_REPEATED", where="instances.json"):
            opened(describe(tmp_path, COCO, {"instances.json": text}))

    @pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"images": []}', "\xff"])
    def test_another_file_is_refused(self, tmp_path: Path, text: str) -> None:
        folder = describe(tmp_path, COCO, {"instances.json": text.encode("latin-1")})
        with refused(where="instances.json"):
            opened(folder)


def flickr(root: Path) -> None:
    (root / "flickr" / "annotations").mkdir(parents=True)
    (root / "flickr" / "flickr_test.txt").write_text("10000130166\n")
    box = "<bbox><n>0</n><a>{}</a><b>2</b><c>200</c><d>256</d></bbox>"
    text = f"<annotation>{''.join(box.format(n) for n in (1, 5, 9))}</annotation>"
    (root / "flickr" / "annotations" / "10000130166.xml").write_text(text)


def music(root: Path) -> None:
    (root / "music-synthetic" / "box").mkdir(parents=True)
    rows = np.array([[0.0, 0.5, 0.25, 0.5, 13], [0.5, 0.0, 0.33, 0.5, 1]])
    np.save(root / "music-synthetic" / "box" / "scene_1.npy", rows)


def vggss(root: Path) -> None:
    (root / "vggss").mkdir()
    entries = [
        {"file": f"{name}_000030", "class": kind, "bbox": [[0.1, 0.2, 1 / 3, -2.9e16]] * n}
        for name, kind, n in (("a", "dog", 1), ("b", "cat", 2), ("c", "owl", 0))
    ]
    (root / "vggss" / "vggss.json").write_text(json.dumps(entries))


class TestRoundTrip:
    """What `data export` writes of a built-in test set is the same as an own one."""

    @pytest.mark.parametrize(
        ("write", "name", "protocol"),
        [
            (None, "synth:standard", "synth"),
            (None, "synth:interactive", "interactive"),
            (None, "synth:two-source", "vggss"),
            (flickr, "flickr", "flickr"),
            (music, "music-synthetic", "multi-source"),
            (vggss, "vggss", "concat"),
        ],
    )
    def test_truth_and_trials_are_the_same(
        self, tmp_path: Path, write: Callable[[Path], None] | None, name: str, protocol: str
    ) -> None:
        if write is not None:
            write(tmp_path)
        options = {"count": 12} if name.startswith("synth") else {}
        test_set, _, split = name.partition(":")
        published = open_test_set(test_set, split or None, data=tmp_path, options=options)
        folder = describe(tmp_path, COCO, {})
        export_coco(published, folder / "instances.json")
        own = opened(folder)
        assert truth_digest(own.samples) == truth_digest(published.samples)
        assert own.truth_convention == published.truth_convention
        if not options:  # a world has an identity beside its truth
            assert own.digest == published.digest
        one, other = open_trials(f"{protocol}@mine", tmp_path), compose_on(protocol, published)
        assert one.full_digest == other.full_digest
        rows = range(len(one))
        np.testing.assert_array_equal(one.truths(rows), other.truths(rows))

    def test_an_own_test_set_too(self, tmp_path: Path) -> None:
        content, images, _ = scenes(3)
        folder = coco(tmp_path, content)
        add_images(folder, images)
        first = opened(folder)
        export_coco(first, folder / "instances.json")
        again = opened(folder)
        assert again.digest == first.digest
        assert again.samples[0].attributes == first.samples[0].attributes
        assert again.image_file("1.bus") == first.image_file("1.bus")
        assert again.sound_name("1.bus") == first.sound_name("1.bus")

    def test_a_damaged_export_is_refused_by_its_images(self, tmp_path: Path) -> None:
        folder = describe(tmp_path, COCO, {})
        export_coco(open_test_set("synth", options={"count": 3}), folder / "instances.json")
        content = json.loads((folder / "instances.json").read_text())
        content["annotations"].pop()
        del content["images"][0]["ssl_bench"]
        content["images"][1]["ssl_bench"]["id"] = content["images"][2]["ssl_bench"]["id"]
        (folder / "instances.json").write_text(json.dumps(content))
        assert [each.code for each in problems_of(folder)] == ["E_SCHEMA", "E_MASK_MISSING"]


def test_the_library_draws_what_is_read(tmp_path: Path) -> None:
    polygon = [1.5, 2.5, 30.2, 4.1, 20.7, 28.9, 3.3, 20.2]
    test_set = opened(coco(tmp_path, instances({"segmentation": [polygon]})))
    annotation = test_set.samples[0].annotation
    assert isinstance(annotation, Mask)
    drawn = coco_mask.decode(coco_mask.frPyObjects([polygon], 30, 40))[..., 0]
    np.testing.assert_array_equal(annotation.pixels, drawn)
    assert annotation.boxes is None
