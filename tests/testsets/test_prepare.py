"""Making the frames and sounds of test sets and folders out of video clips."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from made_videos import Made, make_video, number_of

from ssl_bench.executors import processes
from ssl_bench.media.audio import read_audio
from ssl_bench.media.image import read_image
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
        assert (done.images, done.sounds, done.problems) == (1, 1, ())
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
        assert (done.images, done.sounds) == (5, 1)
        test_set = open_test_set("avsbench-s4", data=folder.parent)
        shown = [number_of(test_set.image(sample.id)) for sample in test_set.samples]
        assert shown == [23, 48, 73, 98, 123]


class TestFolders:
    @pytest.fixture
    def clips(self, video: Path, tmp_path: Path) -> Path:
        folder = tmp_path / "clips"
        folder.mkdir()
        for name in "abc":
            shutil.copy(video, folder / f"{name}.mp4")
        return folder

    def test_all_clips_are_made_or_those_of_a_list(self, clips: Path, tmp_path: Path) -> None:
        assert prepared(tmp_path / "all", clips).images == 3
        (tmp_path / "list.txt").write_text("b\nmissing\n")
        listed = read_clip_list(tmp_path / "list.txt")
        cuts = cuts_of_folder(tmp_path / "some", clips, listed)
        done = prepare(cuts, clips, tmp_path / "some")
        assert (done.images, done.sounds) == (1, 1)
        assert set(codes(done).values()) == {"E_FILE_MISSING"}
        assert number_of(read_image(tmp_path / "some" / "frames" / "b.jpg")) == 75
        assert read_audio(tmp_path / "some" / "audio" / "b.wav").rate == 16_000

    def test_what_is_there_is_kept_and_the_rest_is_made(self, clips: Path, tmp_path: Path) -> None:
        folder = tmp_path / "train"
        prepared(folder, clips)
        (folder / "frames" / "a.jpg").write_bytes(b"kept")
        (folder / "audio" / "c.wav").unlink()
        done = prepared(folder, clips)
        assert (done.images, done.sounds, done.images_kept, done.sounds_kept) == (0, 1, 3, 2)
        assert (folder / "frames" / "a.jpg").read_bytes() == b"kept"

    @pytest.mark.slow
    def test_several_processes_make_the_same_files(self, clips: Path, tmp_path: Path) -> None:
        prepared(tmp_path / "one", clips)
        done = prepared(tmp_path / "two", clips, executor=processes(2))
        assert (done.images, done.sounds) == (3, 3)
        one, two = (
            {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
            for name in ("one", "two")
        )
        assert one == two
        assert len(one) == 6

    def test_what_cannot_be_made_is_told_with_its_code(self, clips: Path, tmp_path: Path) -> None:
        whole = (clips / "a.mp4").read_bytes()
        (clips / "cut.mp4").write_bytes(whole[: len(whole) // 2])
        (clips / "empty.mp4").touch()
        (clips / "text.mp4").write_text("not a video\n" * 50)
        (clips / "twice.mp4").write_bytes(whole)
        (clips / "twice.mkv").write_bytes(whole)
        make_video(clips / "mute.mp4", Made(layout=""))
        make_video(clips / "dark.mp4", Made(pictures=False))
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
        }
        made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
        images = [f"frames/{name}.jpg" for name in ("a", "b", "c", "mute")]
        sounds = [f"audio/{name}.wav" for name in ("a", "b", "c", "dark")]
        assert made == sorted(images + sounds)
