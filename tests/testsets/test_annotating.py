"""The page of annotations, and the test set that comes of what it saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from refusals import refused

import ssl_bench
from ssl_bench.testsets.annotating.annotations import take_annotations, write_page

BOX, HALF = (0.25, 0.25, 0.75, 0.75), (0.25, 0.25, 0.5, 0.75)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    for name in ("frames", "audio"):
        (folder / name).mkdir(parents=True)
    for number, name in enumerate(("a", "b", "c <script>", "d")):
        Image.new("RGB", (64, 48), (60 * number, 0, 0)).save(folder / "frames" / f"{name}.png")
        soundfile.write(folder / "audio" / f"{name}.wav", np.zeros(1600), 16000)
    (folder / "frames" / "mute.png").write_bytes((folder / "frames" / "a.png").read_bytes())
    return folder


def saved(folder: Path, annotator: str, **answers: dict[str, Any]) -> Path:
    path = folder / f"annotations-{annotator}.json"
    usual = {"category": "dog", "type": "A", "source": "object", "boxes": [BOX]}
    listed = [{"id": name, **usual, **own} for name, own in answers.items()]
    content = {"format": "ssl-bench-annotations/1", "annotator": annotator, "answers": listed}
    path.write_text(json.dumps(content))
    return path


class TestPage:
    def test_it_lists_the_clips_with_picture_and_sound(self, clips: Path) -> None:
        page, count = write_page(clips)
        assert count == 4
        text = page.read_text("utf-8")
        assert "frames/a.png" in text
        assert "mute" not in text
        # What an id holds cannot end the script that it stands in.
        assert "c <script>" not in text
        assert "c%20%3Cscript%3E.png" in text

    def test_a_folder_without_clips_is_refused(self, tmp_path: Path) -> None:
        with refused("E_CLIPS_NONE"):
            write_page(tmp_path)


class TestTaken:
    def test_one_annotator_makes_a_test_set(self, clips: Path) -> None:
        taken = take_annotations(clips, [saved(clips, "x", a={}, b={"type": "B"}, d={"boxes": []})])
        assert (taken.samples, taken.annotators) == (2, 1)
        assert taken.types == {"A": 1, "B": 1}
        assert taken.left_out == {"object": 1}
        trials = ssl_bench.open_trials("type-ab@mine", data=clips.parent)
        assert sorted(trial.id for trial in trials) == ["a#A", "b#B"]
        assert trials.truth(trials[0]).mean() == pytest.approx(0.25, abs=0.01)

    def test_boxes_of_several_are_kept_with_who_drew_them(self, clips: Path) -> None:
        files = [
            saved(clips, "x", a={}),
            saved(clips, "y", a={}),
            saved(clips, "z", a={"boxes": [HALF]}),
        ]
        taken = take_annotations(clips, files)
        assert (taken.samples, taken.annotators) == (1, 3)
        [sample] = ssl_bench.open_test_set("mine", data=clips.parent).samples
        assert sample.annotation.annotators == 3  # type: ignore[union-attr]
        oya = ssl_bench.open_trials("synth@mine", data=clips.parent)
        mean = oya.protocol.model_copy(
            update={"truth": oya.protocol.truth.model_copy(update={"convention": "annotator-mean"})}
        )
        truth = ssl_bench.open_trials(mean, data=clips.parent)
        drawn = truth.truth(truth[0])
        assert drawn.max() == pytest.approx(1)
        assert np.unique(drawn.round(3)).tolist() == pytest.approx([0, 0.667, 1], abs=1e-3)

    def test_the_majority_names_category_and_type_and_a_tie_names_none(self, clips: Path) -> None:
        files = [
            saved(clips, "x", a={}, b={"category": "cat"}),
            saved(clips, "y", a={"type": "B"}, b={"category": "dog"}),
            saved(clips, "z", a={"category": "wolf", "type": "B"}),
        ]
        taken = take_annotations(clips, files)
        assert taken.samples == 1
        assert taken.types == {"B": 1}
        assert taken.left_out == {"disagreement": 1}

    def test_what_is_ambient_is_kept_where_it_has_a_box(self, clips: Path) -> None:
        taken = take_annotations(clips, [saved(clips, "x", a={}, b={"source": "ambient"})])
        assert taken.sources == {"object": 1, "ambient": 1}
        assert taken.left_out == {}
        found = ssl_bench.open_trials("synth@mine", data=clips.parent)
        assert {trial.id: trial.attributes["source"] for trial in found} == {
            "a": "object",
            "b": "ambient",
        }
        done = ssl_bench.score(np.ones((2, 7, 7)), found).result
        assert set(done.breakdown["source"]) == {"object", "ambient"}

    def test_most_annotators_say_whether_it_is_ambient_those_without_boxes_too(
        self, clips: Path
    ) -> None:
        ambient: dict[str, Any] = {"source": "ambient", "boxes": []}
        files = [
            saved(clips, "x", a={}, b={}),
            saved(clips, "y", a=ambient, b=ambient),
            saved(clips, "z", a=ambient),
        ]
        taken = take_annotations(clips, files)
        assert taken.sources == {"ambient": 1, "unclear": 1}
        assert taken.left_out == {"ambient": 3}
        sample = ssl_bench.open_test_set("mine", data=clips.parent)["a"]
        assert sample.annotation.annotators == 1  # type: ignore[union-attr]

    def test_what_is_ambient_without_a_box_or_absent_is_counted_and_left_out(
        self, clips: Path
    ) -> None:
        file = saved(clips, "x", a={}, b={"source": "ambient", "boxes": []}, d={"source": "absent"})
        assert take_annotations(clips, [file]).left_out == {"ambient": 1, "absent": 1}

    def test_an_own_description_is_kept(self, clips: Path) -> None:
        (clips / "testset.toml").write_text("title = 'mine'")
        take_annotations(clips, [saved(clips, "x", a={})])
        assert (clips / "testset.toml").read_text() == "title = 'mine'"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"format": "other/1"}, "E_SCHEMA"),
            ({"answers": []}, "E_ANNOTATION_EMPTY"),
            ({"answers": [{"id": "nobody"}]}, "E_ID_UNKNOWN"),
            ({"answers": [{"id": "a"}, {"id": "a"}]}, "E_ID_REPEATED"),
            ({"answers": [{"id": "a", "boxes": [[0, 0, 2, 1]]}]}, "E_SCHEMA"),
            ({"answers": [{"id": "a", "type": "C"}]}, "E_SCHEMA"),
        ],
    )
    def test_other_files_are_refused_and_nothing_is_written(
        self, clips: Path, change: dict[str, Any], code: str
    ) -> None:
        path = saved(clips, "x", a={})
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        with refused(code):
            take_annotations(clips, [path])
        assert not (clips / "boxes.csv").exists()

    def test_a_file_that_is_not_there_is_one_sentence(self, clips: Path) -> None:
        with refused("E_FILE_MISSING") as caught:
            take_annotations(clips, [clips / "nothing.json"])
        assert "\n" not in str(caught.value)

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with refused("E_FOLDER_MISSING"):
            write_page(tmp_path / "nothing")
