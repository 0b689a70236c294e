"""Tables of boxes as a description reads them: what lines become, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from own_sets import (
    HEADER,
    TABLE,
    add_images,
    add_sounds,
    describe,
    opened,
    problems_of,
    table,
)
from refusals import refused

from ssl_bench.scoring.scores import trial_facts
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import Sample
from ssl_bench.trials.compositions import open_trials

PIXELS = 'annotation.units = "pixels"\n'


def corners(sample: Sample) -> list[list[float]]:
    assert isinstance(sample.annotation, Boxes)
    found: list[list[float]] = sample.annotation.corners.tolist()
    return found


class TestSamples:
    def test_lines_of_one_image_category_and_sound_are_one_sample(self, tmp_path: Path) -> None:
        rows = ["a.jpg,a.wav,dog,0,0,0.5,1", "a.jpg,a.wav,dog,0.5,0,1,1", "b.png,x,cat,0,0,1,1"]
        one, other = opened(table(tmp_path, rows)).samples
        assert (one.id, one.group, one.category, one.categories) == ("a", "a", "dog", ("dog",))
        assert corners(one) == [[0, 0, 0.5, 1], [0.5, 0, 1, 1]]
        assert (other.id, other.attributes, other.sound_of) == ("b", {}, None)

    def test_things_of_one_image_are_samples_that_share_it(self, tmp_path: Path) -> None:
        rows = ["p/a,1,big dog,0,0,0.5,1", "p/a,2,cat,0.5,0,1,1", "b,3,cat,0,0,1,1"]
        folder = table(tmp_path, rows)
        add_images(folder, ["p/a", "b"])
        add_sounds(folder, "123")
        test_set = opened(folder)
        dog, cat, alone = test_set.samples
        assert (dog.id, cat.id, alone.id) == ("a.big_dog", "a.cat", "b")
        assert dog.categories == cat.categories == ("big dog", "cat")
        assert dog.attributes == {"image": "p/a", "type": "B", "n_capable": 2}
        assert alone.attributes == {"image": "b", "type": "A", "n_capable": 1}
        assert dog.group == cat.group == "p/a"
        assert test_set.image(dog.id).shape == test_set.image(cat.id).shape == (30, 40, 3)
        assert test_set.sound_file("a.cat").name == "2.wav"

    def test_endings_may_be_in_capitals(self, tmp_path: Path) -> None:
        folder = table(tmp_path, ["a.PNG,a.WAV,dog,0,0,0.5,1"])
        add_images(folder, ["a"])
        add_sounds(folder, ["a"])
        (folder / "frames" / "a.png").rename(folder / "frames" / "a.PNG")
        test_set = opened(folder)
        assert test_set.image_file("a").name == "a.PNG"
        assert test_set.sound_file("a").name == "a.wav"

    def test_things_that_sound_together_share_the_sound(self, tmp_path: Path) -> None:
        dog, cat = opened(table(tmp_path, ["a,m,dog,0,0,0.5,1", "a,m,cat,0.5,0,1,1"])).samples
        assert (dog.sound, cat.sound) == (dog.id, dog.id)
        assert dog.attributes["type"] == cat.attributes["type"] == "A"

    def test_what_has_no_sound_is_seen_only(self, tmp_path: Path) -> None:
        rows = ["a,1,dog,0,0,0.5,1", "a,,cat,0.5,0,1,1", "b,2,cat,0,0,1,1", "b,,tree,0,0,0.1,1"]
        folder = table(tmp_path, rows, 'annotation.never_heard = ["tree"]\n')
        one, other = opened(folder).samples
        assert (one.categories, other.categories) == (("cat", "dog"), ("cat", "tree"))
        found = problems_of(table(tmp_path, rows))
        assert [each.partition(":")[0] for each in found] == ["line 5 ('b')"]
        assert "'tree'" in found[0]

    def test_ids_groups_and_further_columns(self, tmp_path: Path) -> None:
        more = """
            annotation.columns.id = "id"
            annotation.columns.group = "video"
            annotation.attributes = ["scene", "count"]
        """
        rows = ["7,a,1,dog,0,0,0.5,1,v,street,12", "7,a,1,dog,0.5,0,1,1,v,street,12"]
        rows += ["8,b,2,cat,0,0,1,1,v,room,3"]
        folder = table(tmp_path, rows, more, f"id,{HEADER},video,scene,count")
        one, other = opened(folder).samples
        assert (one.id, one.group, one.attributes) == ("7", "v", {"scene": "street", "count": 12})
        assert (other.id, other.group) == ("8", "v")
        facts = trial_facts(open_trials("vggss@mine", tmp_path))
        assert list(facts["scene"]) == ["street", "room"]
        assert list(facts["count"]) == [12, 3]

    def test_names_tell_the_video_and_the_category(self, tmp_path: Path) -> None:
        columns = 'annotation.columns = { image = "image", box = ["x0", "y0", "x1", "y1"] }'
        description = f"""
            annotation.form = "table"
            annotation.file = "boxes.csv"
            {columns}
            annotation.derive.group = {{ of = "image", pattern = '.*/(.+)_[0-9]+' }}
            annotation.derive.category = {{ of = "image", pattern = '([^/]+)/.*' }}
        """
        rows = "image,x0,y0,x1,y1\ndog/v_1.jpg,0,0,1,1\ndog/v_2.jpg,0,0,1,1\ncat/w,0,0,1,1\n"
        samples = opened(describe(tmp_path, description, {"boxes.csv": rows})).samples
        assert [sample.group for sample in samples] == ["v", "v", "w"]
        assert [sample.category for sample in samples] == ["dog", "dog", "cat"]

    def test_columns_stand_in_any_order_beside_others(self, tmp_path: Path) -> None:
        folder = table(
            tmp_path, ["x,1,1,0.5,0,dog,a,a"], header="note,y1,x1,y0,x0,category,sound,image"
        )
        assert corners(opened(folder).samples[0]) == [[0, 0.5, 1, 1]]

    def test_a_list_of_objects_says_the_same(self, tmp_path: Path) -> None:
        rows = ["a,1,dog,0,0,0.5,1", "b,2,cat,0.5,0,1,1"]
        entries = [
            {"image": "a", "sound": "1", "category": "dog", "x0": 0, "y0": 0, "x1": 0.5, "y1": 1},
            {"image": "b", "sound": "2", "category": "cat", "x0": 0.5, "y0": 0, "x1": 1, "y1": 1},
        ]
        as_csv = opened(table(tmp_path / "csv", rows))
        files = {"boxes.json": json.dumps(entries)}
        as_json = opened(describe(tmp_path / "json", TABLE.replace(".csv", ".json"), files))
        assert as_json.digest == as_csv.digest
        assert as_json.samples[1].category == "cat"


class TestPixels:
    def test_they_are_those_of_the_image(self, tmp_path: Path) -> None:
        folder = table(tmp_path, ["a,a,dog,10,0,20.5,30"], PIXELS)
        assert [each.code for each in problems_of(folder)] == ["E_IMAGE_SIZE"]
        add_images(folder, ["a"])
        annotation = opened(folder).samples[0].annotation
        assert isinstance(annotation, Boxes)
        assert annotation.frame == (40, 30)
        assert len(problems_of(table(tmp_path, ["a,a,dog,0,0,20,31"], PIXELS))) == 1

    def test_the_size_may_be_stated_and_must_be_right(self, tmp_path: Path) -> None:
        more = PIXELS + 'annotation.columns.size = ["w", "h"]\n'
        rows = ["a,a,dog,10,0,20,30,40,30", "b,b,dog,10,0,20,30,80,60"]
        folder = table(tmp_path, rows, more, f"{HEADER},w,h")
        assert len(opened(folder)) == 2
        add_images(folder, ["a", "b"])
        (found,) = problems_of(folder)
        assert found.startswith("line 3 ('b'): ")
        assert "80 x 60" in found
        assert "40 x 30" in found

    def test_of_another_frame_or_as_corner_and_size(self, tmp_path: Path) -> None:
        more = PIXELS + 'annotation.frame = [100, 50]\nannotation.corners = "size"\n'
        annotation = opened(table(tmp_path, ["a,a,dog,10,0,20,30"], more)).samples[0].annotation
        assert isinstance(annotation, Boxes)
        assert (annotation.frame, annotation.corners.tolist()) == ((100, 50), [[10, 0, 30, 30]])
        bad = ["a,a,dog,90,0,20,30", "b,b,cat,0,0,-1,30", "c,c,cat,10,0,-5,30"]
        found = problems_of(table(tmp_path, bad, more))
        assert [each.code for each in found] == [
            "E_BOX_RANGE",
            "E_BOX_ORDER",
            "E_BOX_ORDER",
            "E_BOX_READING",
        ]
        folder = table(tmp_path, ["a,a,dog,80,20,20,30"], more)
        assert corners(opened(folder).samples[0]) == [[80, 20, 100, 50]]

    def test_corner_and_size_as_shares(self, tmp_path: Path) -> None:
        more = 'annotation.corners = "size"\n'
        folder = table(tmp_path, ["a,a,dog,0.5,0.25,0.5,0.5"], more)
        assert corners(opened(folder).samples[0]) == [[0.5, 0.25, 1, 0.75]]
        (found,) = problems_of(table(tmp_path, ["a,a,dog,0.5,0.25,0.5,-0.1"], more))
        assert found.code == "E_BOX_ORDER"


class TestRefusals:
    @pytest.mark.parametrize(
        ("row", "code", "place"),
        [
            ("a,a,dog,0,0,1", "E_CSV_FIELDS", "line 3 ('a'): "),
            ("a,a,dog,0,0,nan,1", "E_SCHEMA", "line 3 ('a'): x1: "),
            ("a,a,dog,0,0,1.2,1", "E_BOX_RANGE", "line 3 ('a'): "),
            ("a,a,dog,0.5,0,0.2,1", "E_BOX_ORDER", "line 3 ('a'): "),
            ("../a,a,dog,0,0,1,1", "E_ID", "line 3 ('../a'): image: "),
            ("/etc/a,a,dog,0,0,1,1", "E_ID", "line 3 ('/etc/a'): image: "),
            ("a,../a,dog,0,0,1,1", "E_ID", "line 3 ('a'): sound: "),
            ("a,a,,0,0,1,1", "E_CATEGORY", "line 3 ('a'): category: "),
            ("a,,owl,0,0,1,1", "E_SILENT", "line 3 ('a'): "),
            ("é,a,cat,0,0,1,1", "E_ID", "line 3 ('é'): image: "),
            ("z,z,dog,0,0,1,1", "E_ID_REPEATED", "line 3 ('z'): it repeats line 2 ('z')"),
            ("p/z,p,cat,0,0,1,1", "E_ID_REPEATED", "line 3 ('p/z'): "),
        ],
    )
    def test_a_bad_line_is_named_with_its_id(
        self, tmp_path: Path, row: str, code: str, place: str
    ) -> None:
        (found,) = problems_of(table(tmp_path, ["z,z,dog,0,0,1,1", row]))
        assert found.code == code
        assert found.startswith(place)

    def test_all_problems_are_told_at_once(self, tmp_path: Path) -> None:
        rows = ["a,1,dog,0,0,1,1", "b,2,dog,0,0,9,1", "gone,3,cat,0,0,1,1", "a,,owl,0,0,1,1"]
        folder = table(tmp_path, [*rows, "a,4,dog,0,zz,1,1"])
        add_images(folder, ["a", "b"])
        add_sounds(folder, ["1", "2"])
        found = problems_of(folder)
        assert [(each.partition(":")[0], each.code) for each in found] == [
            ("line 3 ('b')", "E_BOX_RANGE"),
            ("line 6 ('a')", "E_SCHEMA"),
            ("line 5 ('a')", "E_SILENT"),
            ("line 4 ('gone')", "E_FILE_MISSING"),
            ("line 4 ('gone')", "E_FILE_MISSING"),
        ]

    def test_one_id_for_two_things(self, tmp_path: Path) -> None:
        more = 'annotation.columns.id = "id"\n'
        rows = ["7,a,1,dog,0,0,1,1", "7,b,1,dog,0,0,1,1"]
        (found,) = problems_of(table(tmp_path, rows, more, f"id,{HEADER}"))
        assert (found.code, found) == (
            "E_ID_REPEATED",
            "line 3 ('7'): it differs from line 2 ('7') in image",
        )

    def test_a_missing_column_is_named(self, tmp_path: Path) -> None:
        header = HEADER.replace("category", "class")
        (found,) = problems_of(table(tmp_path, ["a,a,dog,0,0,1,1"], header=header))
        assert found.code == "E_CSV_HEADER"
        assert found.endswith("it lacks category")

    def test_a_column_that_stands_twice(self, tmp_path: Path) -> None:
        (found,) = problems_of(table(tmp_path, ["a,a,dog,0,0,1,1,2"], header=f"{HEADER},x0"))
        assert found.code == "E_KEY_REPEATED"

    @pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
    def test_another_encoding(self, tmp_path: Path, encoding: str) -> None:
        content = f"{HEADER}\na,a,café,0,0,1,1\n".encode(encoding)
        with refused("E_ENCODING", where="boxes.csv"):
            opened(describe(tmp_path, TABLE, {"boxes.csv": content}))

    def test_media_that_are_missing_may_be_allowed(self, tmp_path: Path) -> None:
        folder = table(tmp_path, ["a,1,dog,0,0,1,1", "b,2,dog,0,0,1,1"])
        assert len(opened(folder)) == 2  # annotations alone
        add_images(folder, ["a"])
        assert len(problems_of(folder)) == 1
        text = (folder / "testset.toml").read_text()
        (folder / "testset.toml").write_text(f"partial = true\n{text}")
        assert len(opened(folder)) == 2


def test_the_order_of_lines_that_share_an_image_does_not_mix_boxes(tmp_path: Path) -> None:
    """One array holds the boxes of all samples."""
    rows = [f"{n % 3},{n % 3},dog,0,0,{n + 1}e-2,1" for n in range(12)]
    samples = opened(table(tmp_path, rows)).samples
    ends = [[box[2] for box in corners(sample)] for sample in samples]
    np.testing.assert_allclose(ends, [[(n + 1) / 100 for n in range(k, 12, 3)] for k in range(3)])
