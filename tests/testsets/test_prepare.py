"""Making the frames and sounds of test sets and folders out of video clips."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from made_videos import Made, make_video, number_of
from own_sets import table

from ssl_bench.executors import processes
from ssl_bench.media.audio import read_audio
from ssl_bench.media.image import read_image
from ssl_bench.media.video import Moment, open_video
from ssl_bench.media.video_input import VideoInput
from ssl_bench.testsets import definition, open_test_set
from ssl_bench.testsets.cutting import CONVENTION_OF, CONVENTIONS, Span
from ssl_bench.testsets.folder import FolderDefinition, FolderTestSet
from ssl_bench.testsets.lists import read_clip_list
from ssl_bench.testsets.prepare import (
    Cut,
    CutOptions,
    Prepared,
    cuts_of_folder,
    cuts_of_test_set,
    prepare,
)

ID = "zYf0pcZ5q3M_000030"
SIX_SECONDS = Made(count=150)
AROUND = VideoInput(frames=9, rate=25)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("made") / "six.mp4", SIX_SECONDS)


def vggss(root: Path, *ids: str) -> Path:
    folder = root / "vggss"
    folder.mkdir(parents=True)
    entries = [{"file": name, "class": "dog", "bbox": [[0, 0, 0.5, 1]]} for name in ids]
    (folder / "vggss.json").write_text(json.dumps(entries))
    return root


def cuts_of(name: str, root: Path) -> list[Cut]:
    declared, test_set = definition(name), open_test_set(name, data=root)
    assert isinstance(declared, FolderDefinition)
    assert isinstance(test_set, FolderTestSet)
    return cuts_of_test_set(declared, test_set)


def prepared(folder: Path, clips: Path, **options: object) -> Prepared:
    return prepare(cuts_of_folder(folder, clips), clips, folder, CutOptions(**options))  # type: ignore[arg-type]


def codes(done: Prepared) -> dict[tuple[str, str], str]:
    return {
        (each.item, each.kind): each.facts.problem.code
        for each in done.problems
        if each.facts.problem is not None
    }


class TestConventions:
    @pytest.mark.parametrize(
        ("name", "span", "number", "rate"),
        [
            ("middle", Span(0, 10, Fraction(25)), 125, 25),
            ("middle", Span(30, 10, Fraction(30)), 1050, 30),
            ("flickr", Span(0, 20, Fraction(30)), 300, 30),
            ("vggss", Span(0, 10, Fraction(30)), 125, 25),
            ("vggss", Span(30, 10, Fraction(30)), 875, 25),
            ("avsbench", Span(0, 5, Fraction(25), number=1), 23, 25),
            ("avsbench", Span(0, 5, Fraction(25), number=5), 123, 25),
            ("music", Span(0, 1, Fraction(30)), 14, 30),
            ("music", Span(2, 1, Fraction(25)), 62, 25),
        ],
    )
    def test_which_picture_stands_for_a_clip(
        self, name: str, span: Span, number: int, rate: int
    ) -> None:
        assert CONVENTIONS[name].choose(span) == (number, rate)

    def test_each_names_the_code_that_it_follows(self) -> None:
        assert all("/" in convention.source for convention in CONVENTIONS.values())
        assert {definition(name).name for name in CONVENTION_OF} == set(CONVENTION_OF)


class TestTestSets:
    def test_vggss_gets_frame_125_and_its_sound(self, video: Path, tmp_path: Path) -> None:
        root, clips = vggss(tmp_path / "data", ID), tmp_path / "clips"
        (clips / "some").mkdir(parents=True)
        shutil.copy(video, clips / "some" / "zYf0pcZ5q3M_30.mp4")
        done = prepare(cuts_of("vggss", root), clips, root / "vggss", CutOptions("vggss"))
        assert (done.made, done.problems) == ({"image": 1, "sound": 1, "video": 0}, ())
        test_set = open_test_set("vggss", data=root)
        assert number_of(test_set.image(ID)) == 125
        assert test_set.waveform(ID).seconds == pytest.approx(6, abs=0.05)

    def test_a_clip_is_cut_from_the_whole_video(self, video: Path, tmp_path: Path) -> None:
        name, late = "zYf0pcZ5q3M_000002", "zYf0pcZ5q3M_000700"
        root, clips = vggss(tmp_path / "data", name, late), tmp_path / "clips"
        clips.mkdir()
        shutil.copy(video, clips / "zYf0pcZ5q3M.mp4")
        options = CutOptions("middle", seconds=2.0)
        done = prepare(cuts_of("vggss", root), clips, root / "vggss", options)
        assert codes(done) == {(late, kind): "E_CLIP_SPAN" for kind in ("image", "sound")}
        test_set = open_test_set("vggss", data=root)
        assert number_of(test_set.image(name)) == 75
        assert test_set.waveform(name).seconds == 2.0

    def test_avsbench_gets_a_picture_for_each_second(self, video: Path, tmp_path: Path) -> None:
        folder, clips = tmp_path / "data" / "avsbench-s4", tmp_path / "clips"
        folder.mkdir(parents=True)
        clips.mkdir()
        rows = [
            f"test/dog/0d9u2CymIxc/0d9u2CymIxc_{n}.png,test/dog/0d9u2CymIxc.wav,0,0,9,9\n"
            for n in range(1, 6)
        ]
        table = "frame,audio,xmin,ymin,xmax,ymax\n" + "".join(rows)
        (folder / "avsbench_s4.csv").write_text(table)
        shutil.copy(video, clips / "0d9u2CymIxc.mp4")
        cuts = cuts_of("avsbench-s4", folder.parent)
        done = prepare(cuts, clips, folder, CutOptions("avsbench"))
        assert (done.made["image"], done.made["sound"]) == (5, 1)
        test_set = open_test_set("avsbench-s4", data=folder.parent)
        shown = [number_of(test_set.image(sample.id)) for sample in test_set.samples]
        assert shown == [23, 48, 73, 98, 123]

    def test_a_picture_of_several_sounds_is_made_once_of_the_clip_that_is_named_like_it(
        self, tmp_path: Path
    ) -> None:
        rows = [
            "yard.jpg,hen.wav,hen,0,0,0.5,1",
            "yard.jpg,yard.wav,dog,0.5,0,1,1",
            "pond.jpg,duck.wav,duck,0,0,0.5,1",
            "pond.jpg,gull.wav,gull,0.5,0,1,1",
        ]
        table(tmp_path, rows)
        declared, test_set = definition("mine", tmp_path), open_test_set("mine", data=tmp_path)
        assert isinstance(declared, FolderDefinition)
        assert isinstance(test_set, FolderTestSet)
        cuts = cuts_of_test_set(declared, test_set)
        pictures = {cut.image.stem: cut.clip for cut in cuts if cut.image is not None}
        assert pictures == {"yard": "yard", "pond": "duck"}
        assert sum(cut.image is not None for cut in cuts) == 2
        assert all((cut.image is None) == (cut.video is None) for cut in cuts)
        assert sorted(cut.sound.stem for cut in cuts if cut.sound is not None) == [
            "duck",
            "gull",
            "hen",
            "yard",
        ]


class TestFolders:
    @pytest.fixture
    def clips(self, video: Path, tmp_path: Path) -> Path:
        folder = tmp_path / "clips"
        folder.mkdir()
        for name in "abc":
            shutil.copy(video, folder / f"{name}.mp4")
        return folder

    def test_all_clips_are_made_or_those_of_a_list(self, clips: Path, tmp_path: Path) -> None:
        assert prepared(tmp_path / "all", clips).made["image"] == 3
        (tmp_path / "list.txt").write_text("b\nmissing\n")
        listed = read_clip_list(tmp_path / "list.txt")
        cuts = cuts_of_folder(tmp_path / "some", clips, listed)
        done = prepare(cuts, clips, tmp_path / "some")
        assert (done.made["image"], done.made["sound"]) == (1, 1)
        assert set(codes(done).values()) == {"E_FILE_MISSING"}
        assert number_of(read_image(tmp_path / "some" / "frames" / "b.jpg")) == 75
        assert read_audio(tmp_path / "some" / "audio" / "b.wav").rate == 16_000

    def test_what_is_there_is_kept_and_the_rest_is_made(self, clips: Path, tmp_path: Path) -> None:
        folder = tmp_path / "train"
        prepared(folder, clips)
        (folder / "frames" / "a.jpg").write_bytes(b"kept")
        (folder / "audio" / "c.wav").unlink()
        done = prepared(folder, clips)
        assert done.made == {"image": 0, "sound": 1, "video": 0}
        assert done.kept == {"image": 3, "sound": 2, "video": 0}
        assert (folder / "frames" / "a.jpg").read_bytes() == b"kept"
        assert done.unknown == {"image": 1, "sound": 0, "video": 0}

    @pytest.mark.parametrize(
        ("kind", "file", "other"),
        [
            ("image", "frames/a.jpg", {"convention": "vggss"}),
            ("sound", "audio/a.wav", {"rate": 8000}),
            ("sound", "audio/a.wav", {"channels": 2}),
            ("video", "videos/a.mp4", {"videos": VideoInput(frames=5, rate=25)}),
            ("video", "videos/a.mp4", {"videos": VideoInput(frames=9, rate=10)}),
        ],
    )
    def test_what_was_made_with_other_settings_is_made_again(
        self, kind: str, file: str, other: dict[str, Any], clips: Path, tmp_path: Path
    ) -> None:
        for name in "bc":
            (clips / f"{name}.mp4").unlink()
        asked = {"videos": AROUND, **other}
        wanted, folder = tmp_path / "new", tmp_path / "old"
        prepared(wanted, clips, **asked)
        prepared(folder, clips, videos=AROUND)
        # A convention decides what a video shows, too.
        kinds = {kind, "video"} if "convention" in other else {kind}
        done = prepared(folder, clips, **asked)
        assert {each for each, count in done.again.items() if count} == kinds
        assert done.again == done.made
        assert sum(done.kept.values()) == 3 - len(kinds)
        assert (folder / file).read_bytes() == (wanted / file).read_bytes()
        assert not any(prepared(folder, clips, **asked).made.values())

    def test_what_cannot_be_made_again_stays_and_is_told(self, clips: Path, tmp_path: Path) -> None:
        folder = tmp_path / "train"
        prepared(folder, clips)
        before = {path: path.read_bytes() for path in (folder / "audio").iterdir()}
        (clips / "a.mp4").write_text("not a video\n" * 50)
        cuts = cuts_of_folder(folder, clips)
        (clips / "b.mp4").unlink()
        done = prepare(cuts, clips, folder, CutOptions(rate=8000))
        assert codes(done) == {("a", "sound"): "E_VIDEO_DAMAGED", ("b", "sound"): "E_FILE_MISSING"}
        assert all("still there" in str(each.facts.problem) for each in done.problems)
        assert done.again == done.made == {"image": 0, "sound": 1, "video": 0}
        changed = {path.name for path, content in before.items() if path.read_bytes() != content}
        assert changed == {"c.wav"}

    def test_how_long_a_part_lasts_concerns_parts_alone(self, video: Path, tmp_path: Path) -> None:
        clips, folder = tmp_path / "clips", tmp_path / "train"
        clips.mkdir()
        shutil.copy(video, clips / "zYf0pcZ5q3M.mp4")
        shutil.copy(video, clips / "whole_000030.mp4")
        (tmp_path / "list.txt").write_text("zYf0pcZ5q3M_000002\nwhole_000030\n")
        listed = read_clip_list(tmp_path / "list.txt")
        cuts = cuts_of_folder(folder, clips, listed)
        for seconds, made in ((2.0, 2), (3.0, 1)):
            done = prepare(cuts, clips, folder, CutOptions(seconds=seconds))
            assert done.made == {"image": made, "sound": made, "video": 0}
        assert read_audio(folder / "audio" / "zYf0pcZ5q3M_000002.wav").seconds == 3.0

    @pytest.mark.slow
    def test_several_processes_make_the_same_files(self, clips: Path, tmp_path: Path) -> None:
        prepared(tmp_path / "one", clips, videos=AROUND)
        done = prepared(tmp_path / "two", clips, videos=AROUND, executor=processes(2))
        assert done.made == {"image": 3, "sound": 3, "video": 3}
        one, two = (
            {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
            for name in ("one", "two")
        )
        assert one == two
        assert len(one) == 9

    def test_what_cannot_be_made_is_told_with_its_code(self, clips: Path, tmp_path: Path) -> None:
        whole = (clips / "a.mp4").read_bytes()
        (clips / "cut.mp4").write_bytes(whole[: len(whole) // 2])
        (clips / "empty.mp4").touch()
        (clips / "text.mp4").write_text("not a video\n" * 50)
        (clips / "twice.mp4").write_bytes(whole)
        (clips / "twice.mkv").write_bytes(whole)
        make_video(clips / "mute.mp4", Made(layout=""))
        make_video(clips / "dark.mp4", Made(pictures=False))
        make_video(clips / "live.mkv", Made(live=True))
        folder = tmp_path / "train"
        done = prepared(folder, clips)
        both = ("image", "sound")
        assert codes(done) == {
            **{("cut", kind): "E_VIDEO_TRUNCATED" for kind in both},
            **{("empty", kind): "E_FILE_EMPTY" for kind in both},
            **{("text", kind): "E_VIDEO_DAMAGED" for kind in both},
            **{("twice", kind): "E_FILE_AMBIGUOUS" for kind in both},
            ("mute", "sound"): "E_SOUND_TRACK",
            ("dark", "image"): "E_VIDEO_TRACK",
            ("live", "image"): "E_VIDEO_DAMAGED",
        }
        made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
        images = [f"frames/{name}.jpg" for name in ("a", "b", "c", "mute")]
        sounds = [f"audio/{name}.wav" for name in ("a", "b", "c", "dark", "live")]
        assert made == sorted(images + sounds)


class TestVideos:
    """A clip around each picture, in whose middle it is shown."""

    @pytest.mark.parametrize("asked", [AROUND, VideoInput(frames=5, rate=12.5)])
    def test_it_gives_the_frames_that_the_whole_clip_gives(
        self, asked: VideoInput, video: Path, tmp_path: Path
    ) -> None:
        root, clips = vggss(tmp_path / "data", ID), tmp_path / "clips"
        clips.mkdir()
        shutil.copy(video, clips / f"{ID}.mp4")
        options = CutOptions("vggss", videos=VideoInput(frames=25, rate=25))
        done = prepare(cuts_of("vggss", root), clips, root / "vggss", options)
        assert (done.made["video"], done.problems) == (1, ())
        with open_video(video) as whole:
            second = whole.second_of(Moment(125, Fraction(25)))
            wanted = [number_of(each) for each in whole.frames_in_turn(second, asked)]
        assert second == pytest.approx(5)
        frames = open_test_set("vggss", data=root).frames(ID, asked)
        assert [number_of(each) for each in frames] == wanted
        assert wanted[len(wanted) // 2] == 125

    @pytest.mark.parametrize(("name", "seen"), [("0d9u2CymIxc_1", 23), ("0d9u2CymIxc_5", 123)])
    def test_each_picture_of_a_clip_has_its_own(
        self, name: str, seen: int, video: Path, tmp_path: Path
    ) -> None:
        cut = Cut(name, "0d9u2CymIxc", None, None, tmp_path / f"{name}.mp4", int(name[-1]))
        shutil.copy(video, tmp_path / "0d9u2CymIxc.mp4")
        prepare([cut], tmp_path, tmp_path, CutOptions("avsbench", videos=AROUND))
        with open_video(tmp_path / f"{name}.mp4") as made:
            assert number_of(made.frames(made.middle, VideoInput(frames=1, rate=25))[0]) == seen
            assert made.seconds == pytest.approx(9 / 25, abs=0.001)
            # Before the first picture and after the last, these stand still.
            shown = [number_of(pixels) for _, pixels in made.pictures()]
        assert shown == [min(max(seen + step, 0), 149) for step in range(-4, 5)]

    def test_what_is_there_is_kept_and_a_clip_without_pictures_is_told(
        self, video: Path, tmp_path: Path
    ) -> None:
        clips, folder = tmp_path / "clips", tmp_path / "train"
        clips.mkdir()
        shutil.copy(video, clips / "a.mp4")
        assert prepared(folder, clips).made["video"] == 0
        make_video(clips / "dark.mp4", Made(pictures=False))
        done = prepared(folder, clips, videos=AROUND)
        assert done.made == {"image": 0, "sound": 1, "video": 1}
        assert codes(done) == {("dark", kind): "E_VIDEO_TRACK" for kind in ("image", "video")}
        written = (folder / "videos" / "a.mp4").read_bytes()
        assert prepared(folder, clips, videos=AROUND).kept["video"] == 1
        assert (folder / "videos" / "a.mp4").read_bytes() == written

    def test_odd_sides_become_even_and_the_frames_are_those_of_the_picture(
        self, tmp_path: Path
    ) -> None:
        root, clips = vggss(tmp_path / "data", ID), tmp_path / "clips"
        clips.mkdir()
        with av.open(str(clips / f"{ID}.mkv"), "w") as container:
            track = container.add_stream("ffv1", rate=25)
            track.width, track.height, track.pix_fmt = 47, 33, "bgr0"
            for number in range(25):
                grey = np.full((33, 47, 3), 9 * number, np.uint8)
                container.mux(track.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(track.encode(None))
        options = CutOptions("middle", videos=AROUND)
        done = prepare(cuts_of("vggss", root), clips, root / "vggss", options)
        assert {kind for _, kind in codes(done)} == {"sound"}
        frames = open_test_set("vggss", data=root).frames(ID, AROUND)
        assert frames.shape == (9, 33, 47, 3)
        levels = frames.mean(axis=(1, 2, 3))
        assert levels.tolist() == pytest.approx([9 * (8 + n) for n in range(9)], abs=3)
