"""MUSIC-Synthetic: arrays of boxes, what is refused, and the scenes that are asked about."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refused

from ssl_bench.errors import AnnotationError
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.music import TEST_SET, boxes_of_sizes, read_scene
from ssl_bench.testsets.truth import pixel_corners
from ssl_bench.trials.compositions import open_trials

ROW = [0.0, 0.5, 0.25, 0.5, 13]


@pytest.fixture
def music(tmp_path: Path, write_media: Callable[[Path, list[str]], None]) -> Path:
    """A folder of two invented scenes, complete."""
    folder = tmp_path / "music-synthetic"
    (folder / "box").mkdir(parents=True)
    np.save(
        folder / "box" / "12.npy", np.array([ROW, [0.5, 0, 0.5, 0.5, 3], [0.25, 0, 0.1, 1, 13]])
    )
    np.save(folder / "box" / "7.npy", np.array([[0.5, 0.5, 0.5, 0.5, 1]], np.float32))
    write_media(folder, ["12", "7"])
    return folder


def test_each_sounding_category_is_a_sample_with_all_of_its_boxes(music: Path) -> None:
    test_set = open_test_set("music-synthetic", data=music.parent)
    assert [(each.id, each.group, each.category) for each in test_set.samples] == [
        ("12.accordion", "12", "accordion"),
        ("12.acoustic_guitar", "12", "acoustic guitar"),
        ("7.cello", "7", "cello"),
    ]
    annotation = test_set.samples[0].annotation
    assert isinstance(annotation, Boxes)
    np.testing.assert_allclose(annotation.corners, [[0, 112, 56, 224], [56, 0, 78.4, 224]])
    assert annotation.frame == (224, 224)
    assert [each.sound for each in test_set.samples] == ["12.accordion"] * 2 + ["7.cello"]


@pytest.mark.parametrize("width", [224, 320, 640])
def test_boxes_are_drawn_as_by_the_original_evaluation(width: int) -> None:
    """Every box of a frame that ends at its right edge, and every one that is half as wide."""
    left = np.arange(width) / width
    for size in (1 - left, (1 - left) / 2):
        rows = np.stack([left, left, size, size], axis=1)
        expected = [[int(224 * x), int(224 * x + 224 * w)] for x, w in zip(left, size, strict=True)]
        drawn = pixel_corners(boxes_of_sizes(rows), 224, 224)
        np.testing.assert_array_equal(drawn[:, [0, 2]], expected)
        np.testing.assert_array_equal(drawn[:, [1, 3]], expected)


def test_samples_of_a_scene_share_picture_and_sound(music: Path) -> None:
    test_set = open_test_set("music-synthetic", data=music.parent)
    one, other, third = (test_set.image(sample.id) for sample in test_set.samples)
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, third)
    sounds = [test_set.waveform(sample.id).samples for sample in test_set.samples]
    np.testing.assert_array_equal(sounds[0], sounds[1])
    assert not np.array_equal(sounds[0], sounds[2])


def test_protocols_ask_for_each_category_or_for_all(music: Path) -> None:
    by_class = open_trials(load_protocol("multi-source@music-synthetic"), music.parent)
    assert [(trial.id, trial.sounding) for trial in by_class] == [
        ("12#accordion", True),
        ("12#acoustic guitar", True),
        ("12#cello", False),
        ("7#cello", True),
        ("7#accordion", False),
        ("7#acoustic guitar", False),
    ]
    union = open_trials(load_protocol("multi-source-union@music-synthetic"), music.parent)
    assert union.ids == ["12", "7"]
    truth = union.truth(union.trials[0])
    assert truth.sum() == sum(
        by_class.truth(trial).sum() for trial in by_class.trials[:2]
    ) - np.count_nonzero(by_class.truth(by_class.trials[0]) * by_class.truth(by_class.trials[1]))


def saved(folder: Path, content: Any) -> Path:
    path = folder / "scene.npy"
    np.save(path, content)
    return path


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "code", "place"),
        [
            (np.zeros(5), "E_ARRAY", ""),
            (np.zeros((2, 4)), "E_ARRAY", ""),
            (np.zeros((1, 5), complex), "E_ARRAY", ""),
            (np.array([["a"] * 5]), "E_ARRAY", ""),
            (np.array([[0, 0, 1, np.nan, 1]]), "E_SCHEMA", "row 0"),
            (np.array([ROW, [0, 0, np.inf, 1, 1]]), "E_SCHEMA", "row 1"),
            (np.array([ROW, [0, 0, -1, 1, 1]]), "E_BOX_ORDER", "row 1"),
            (np.array([ROW, [0, 0, 1, 1, 2]]), "E_CATEGORY", "row 1"),
            (np.array([ROW, [0, 0, 1, 1, 1.5]]), "E_CATEGORY", "row 1"),
            (np.zeros((4000, 5)), "E_FILE_SIZE", ""),
        ],
    )
    def test_content(self, tmp_path: Path, content: Any, code: str, place: str) -> None:
        with refused(code, where=place):
            read_scene(saved(tmp_path, content))

    def test_no_box(self, tmp_path: Path) -> None:
        with refused(where="scene.npy"):
            read_scene(saved(tmp_path, np.zeros((0, 5))))

    def test_a_pickle_is_never_opened(self, tmp_path: Path) -> None:
        path = saved(tmp_path, np.array([{"a": 1}], dtype=object))
        with refused("E_ARRAY", where="scene.npy"):
            read_scene(path)
        path.write_bytes(pickle.dumps([ROW]))
        with refused("E_ARRAY", where="scene.npy"):
            read_scene(path)

    def test_truncated_renamed_and_boasting_files(self, tmp_path: Path) -> None:
        path = saved(tmp_path, np.array([ROW] * 3))
        whole = path.read_bytes()
        for content in (b"", whole[:40], whole[:-8], whole.replace(b"(3, 5)", b"(9**9, 5)")):
            path.write_bytes(content)
            with refused("E_ARRAY", where="scene.npy"):
                read_scene(path)
        path.write_bytes(whole.replace(b"(3, 5), ", b"(9999999999, 5), "))
        with refused("E_ARRAY", where="scene.npy"):
            read_scene(path)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.npy", whole)
        with refused("E_ARRAY", where="scene.npy"):
            read_scene(path)

    def test_missing_files_and_bad_names(self, tmp_path: Path) -> None:
        with refused("E_FILE_MISSING", where="scene.npy"):
            read_scene(tmp_path / "scene.npy")
        np.save(tmp_path / "a b.npy", np.array([ROW]))
        with refused("E_ID", where="a b.npy"):
            read_scene(tmp_path / "a b.npy")

    def test_every_bad_scene_is_named_when_opening(self, music: Path) -> None:
        np.save(music / "box" / "1.npy", np.zeros(3))
        (music / "box" / "2.npy").write_bytes(b"")
        with refused("E_ARRAY", kind=AnnotationError) as caught:
            open_test_set("music-synthetic", data=music.parent)
        assert isinstance(caught.value, AnnotationError)
        assert [problem.split(":")[0] for problem in caught.value.problems] == [
            "box/1.npy",
            "box/2.npy",
        ]

    def test_an_empty_folder_and_options(self, tmp_path: Path, music: Path) -> None:
        empty = tmp_path / "x" / "music-synthetic"
        empty.mkdir(parents=True)
        with refused("E_FILE_EMPTY", where="box"):
            open_test_set("music-synthetic", data=empty.parent)
        with refused("E_TEST_SET_OPTION"):
            open_test_set("music-synthetic", data=music.parent, options={"count": 1})


class TestVerify:
    def test_a_complete_folder_has_nothing_missing_or_corrupt(self, music: Path) -> None:
        findings = TEST_SET.verify(music)
        assert {finding.level for finding in findings} == {"ok", "note"}
        messages = [f"{finding.item}: {finding.message}" for finding in findings]
        assert "box/: 2 of 455 scenes" in messages
        assert "box/7.npy: one category sounds, not two" in messages

    def test_what_is_missing_or_corrupt_is_named(self, music: Path) -> None:
        np.save(music / "box" / "9.npy", np.zeros(3))
        (music / "frames" / "7.png").unlink()
        found = {(finding.level, finding.item) for finding in TEST_SET.verify(music)}
        assert ("corrupt", "box/9.npy") in found
        assert ("missing", "frames/7") in found

    def test_a_folder_without_anything_is_reported(self, tmp_path: Path) -> None:
        assert [finding.level for finding in TEST_SET.verify(tmp_path)] == ["missing"]
        assert [finding.level for finding in TEST_SET.verify(None)] == ["missing"]


def test_corners_in_place_of_sizes_are_told_for_the_whole_folder(music: Path) -> None:
    for number in range(3):
        corners = np.array([[0.5, 0.5, 0.9, 0.9, 1], [0.1, 0.1, 0.4, 0.4, 3]])
        np.save(music / "box" / f"2{number}.npy", corners)
    with refused("E_BOX_READING", where="box/: 3 of 9 "):
        open_test_set("music-synthetic", data=music.parent)


def test_pixels_in_place_of_shares_are_refused_by_their_row(music: Path) -> None:
    np.save(music / "box" / "8.npy", np.array([ROW, [10, 20, 112, 90, 1]]))
    with refused("E_BOX_RANGE", where="8.npy: row 1"):
        open_test_set("music-synthetic", data=music.parent)


def test_a_box_beyond_the_frame_and_a_hidden_file(music: Path) -> None:
    np.save(music / "box" / "8.npy", np.array([ROW, [0.75, 0.5, 0.5, 0.5, 1]]))
    (music / "box" / "._8.npy").write_bytes(b"of macOS")
    notes = {finding.item: finding.message for finding in TEST_SET.verify(music)}
    assert "beyond the frame" in notes["8.cello"]
    assert "8.accordion" not in notes
    assert "box/._8.npy" not in notes
