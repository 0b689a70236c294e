"""Pictures and sounds that are cut out of videos, against what was put in and FFmpeg's command."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import Made, make_video, number_of
from numpy.typing import NDArray
from refusals import refused

from ssl_bench.media.video import Moment, open_video
from ssl_bench.media.waveform import Waveform

RATE = 16_000
NTSC = Fraction(30_000, 1001)
UNEVEN = tuple(np.cumsum([0.0, *np.random.default_rng(1).uniform(0.01, 0.12, 59)]).tolist())
KINDS = {
    "25": Made(),
    "29.97": Made(rate=NTSC),
    "variable rate": Made(count=60, times=UNEVEN),
    "B-frames": Made(b_frames=3),
    "open groups": Made(b_frames=3, open_groups=True),
    "turned by 90": Made(turn=90),
    "turned by 180": Made(turn=180),
    "turned by 270": Made(turn=270),
    "late sound": Made(sound_start=0.75),
    "5.1": Made(layout="5.1", sound_rate=48_000),
    "stereo": Made(layout="stereo"),
}
against_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="compares with FFmpeg's command, which is not installed"
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    return {name: make_video(folder / f"{name}.mp4", made) for name, made in KINDS.items()}


def picture(path: Path, number: int, rate: Fraction = Fraction(25)) -> NDArray[np.uint8]:
    with open_video(path) as video:
        return video.picture(Moment(number, rate))


def sound(path: Path, channels: int = 1, **span: float) -> Waveform:
    with open_video(path) as video:
        return video.sound(RATE, channels, **span)


class TestPictures:
    @pytest.mark.parametrize("number", [0, 1, 24, 25, 26, 49, 74])
    @pytest.mark.parametrize("kind", ["25", "B-frames", "open groups", "late sound"])
    def test_a_picture_is_found_by_its_number(
        self, kind: str, number: int, videos: dict[str, Path]
    ) -> None:
        assert number_of(picture(videos[kind], number)) == number

    def test_matroska_is_read_alike(self, tmp_path: Path) -> None:
        path = make_video(tmp_path / "clip.mkv", Made(b_frames=2))
        assert [number_of(picture(path, number)) for number in (0, 26, 74)] == [0, 26, 74]
        assert sound(path).seconds == pytest.approx(3, abs=0.03)

    def test_at_another_rate_it_is_the_last_one_up_to_the_moment(
        self, videos: dict[str, Path]
    ) -> None:
        shown = [number_of(picture(videos["29.97"], number)) for number in (0, 25, 50)]
        # Second 1 lies just before picture 30, at 1.001 s, whose number at 25 is rounded to 25.
        assert shown == [0, 30, 60]

    def test_unevenly_spaced_pictures_are_found_by_their_times(
        self, videos: dict[str, Path]
    ) -> None:
        for number in (10, 30, 50):
            last = max(n for n, at in enumerate(UNEVEN) if int(at * 25 + 0.5) <= number)
            assert number_of(picture(videos["variable rate"], number)) == last

    @pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (180, 2), (270, 1)])
    def test_a_turned_picture_is_turned(
        self, degrees: int, turns: int, videos: dict[str, Path]
    ) -> None:
        turned = picture(videos[f"turned by {degrees}"], 40)
        assert number_of(np.rot90(turned, -turns)) == 40

    def test_a_moment_behind_the_end_is_refused_or_the_last_picture(
        self, videos: dict[str, Path]
    ) -> None:
        with refused("E_CLIP_SPAN"):
            picture(videos["25"], 75)
        with open_video(videos["25"]) as video:
            assert number_of(video.picture(Moment(500, Fraction(25)), or_last=True)) == 74

    @against_ffmpeg
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_is_the_picture_of_ffmpeg(self, kind: str, videos: dict[str, Path]) -> None:
        numbers = (3, 33, 60)
        chosen = "+".join(rf"eq(n\,{number})" for number in numbers)
        options = ["-vf", f"fps=25,select={chosen}", "-vsync", "0", "-pix_fmt", "rgb24"]
        shown = np.frombuffer(ffmpeg(videos[kind], [*options, "-f", "rawvideo"]), np.uint8)
        found = np.stack([picture(videos[kind], number) for number in numbers])
        assert np.abs(found.astype(int) - shown.reshape(found.shape)).max() <= 2


class TestSounds:
    def test_it_has_the_rate_and_the_channels_that_are_asked_for(
        self, videos: dict[str, Path]
    ) -> None:
        for channels in (1, 2):
            found = sound(videos["5.1"], channels)
            assert (found.rate, found.samples.dtype) == (RATE, np.int16)
            assert found.samples.shape[1] == channels
            assert found.seconds == pytest.approx(3, abs=0.03)

    def test_one_that_starts_late_begins_with_silence(self, videos: dict[str, Path]) -> None:
        late = sound(videos["late sound"])
        heard = np.flatnonzero(np.abs(late.samples[:, 0]) > 2000)
        # Encoders begin a frame, 23 ms, early or late.
        assert heard[0] / RATE == pytest.approx(0.75, abs=0.03)
        assert late.seconds == pytest.approx(3.75, abs=0.05)

    def test_a_part_of_it_is_the_same_as_that_part_of_all(self, videos: dict[str, Path]) -> None:
        part, whole = sound(videos["25"], start=1.5, seconds=1.0), sound(videos["25"])
        assert part.samples.shape == (RATE, 1)
        inner = slice(200, -200)
        expected = whole.samples[int(1.5 * RATE) : int(2.5 * RATE)]
        assert np.abs(part.samples[inner].astype(int) - expected[inner]).max() <= 40

    def test_a_part_behind_the_end_is_refused(self, videos: dict[str, Path]) -> None:
        with refused("E_CLIP_SPAN"):
            sound(videos["25"], start=9.0, seconds=1.0)

    @against_ffmpeg
    @pytest.mark.parametrize(("kind", "channels"), [*((kind, 1) for kind in KINDS), ("5.1", 2)])
    def test_it_is_the_sound_of_ffmpeg(
        self, kind: str, channels: int, videos: dict[str, Path]
    ) -> None:
        timed = ["-af", "aresample=async=1:first_pts=0"] if kind == "late sound" else []
        options = [*timed, "-ac", str(channels), "-ar", str(RATE), "-f", "s16le"]
        expected = np.frombuffer(ffmpeg(videos[kind], options), np.int16).reshape(-1, channels)
        found = sound(videos[kind], channels).samples
        assert abs(len(found) - len(expected)) <= 2
        shared = min(len(found), len(expected))
        assert np.abs(found[:shared].astype(int) - expected[:shared]).max() <= 2


AVI_KINDS = {
    "MJPEG": Made(codec="mjpeg"),
    "MPEG-4": Made(codec="mpeg4"),
    "MPEG-4 with B-frames": Made(codec="mpeg4", b_frames=2),
    "MPEG-4 with B-frames at 29.97": Made(codec="mpeg4", b_frames=2, rate=NTSC),
    "H.264 with B-frames": Made(b_frames=3, open_groups=True),
    "missing pictures": Made(
        count=60, codec="mpeg4", times=[n / 25 for n in (*range(20), *range(35, 75))]
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("avi")
    made = {name: make_video(folder / f"{name}.avi", each) for name, each in AVI_KINDS.items()}
    once = make_video(folder / "once.avi", Made(codec="mpeg4", b_frames=1, layout=""))
    made["packed B-frames"] = pack_b_frames(once, folder / "packed.avi")
    return made


class TestAvi:
    """Files that do not tell when their pictures are shown."""

    @pytest.mark.parametrize("number", [0, 1, 2, 25, 26, 74])
    @pytest.mark.parametrize(
        "kind", ["MJPEG", "MPEG-4 with B-frames", "packed B-frames", "H.264 with B-frames"]
    )
    def test_a_picture_is_found_by_its_number(
        self, kind: str, number: int, files: dict[str, Path]
    ) -> None:
        assert number_of(picture(files[kind], number)) == number

    def test_a_picture_stays_where_others_are_missing(self, files: dict[str, Path]) -> None:
        shown = [number_of(picture(files["missing pictures"], n)) for n in (19, 20, 34, 35)]
        assert shown == [19, 19, 19, 20]

    def test_all_pictures_come_with_their_seconds(self, files: dict[str, Path]) -> None:
        with open_video(files["MPEG-4 with B-frames"]) as video:
            shown = [(number_of(pixels), second) for second, pixels in video.pictures()]
        assert [number for number, _ in shown] == list(range(75))
        np.testing.assert_allclose(np.diff([second for _, second in shown]), 0.04)

    @against_ffmpeg
    @pytest.mark.parametrize("kind", AVI_KINDS)
    def test_pictures_and_sound_are_those_of_ffmpeg(
        self, kind: str, files: dict[str, Path]
    ) -> None:
        options = ["-an", "-vf", "fps=25", "-vsync", "0", "-pix_fmt", "rgb24"]
        pixels = np.frombuffer(ffmpeg(files[kind], [*options, "-f", "rawvideo"]), np.uint8)
        expected = [number_of(each) for each in pixels.reshape(-1, 80, 128, 3)]
        asked = sorted({0, 1, 2, 19, 20, 26, 33, 40, len(expected) - 1})
        with open_video(files[kind]) as video:
            found = [number_of(video.picture(Moment(n, Fraction(25)))) for n in asked]
            heard = video.sound(RATE).samples[:, 0].astype(int)
        assert found == [expected[n] for n in asked]
        options = ["-ac", "1", "-ar", str(RATE), "-f", "s16le"]
        assert np.abs(heard - np.frombuffer(ffmpeg(files[kind], options), np.int16)).max() <= 2

    def test_a_truncated_file_is_refused(self, files: dict[str, Path], tmp_path: Path) -> None:
        path = tmp_path / "cut.avi"
        path.write_bytes(files["MJPEG"].read_bytes()[:20_000])
        with refused("E_VIDEO_TRUNCATED", where=path), open_video(path):
            pass


class TestBadVideos:
    def test_without_sound_or_pictures_the_other_is_there(self, tmp_path: Path) -> None:
        mute = make_video(tmp_path / "mute.mp4", Made(layout=""))
        dark = make_video(tmp_path / "dark.mp4", Made(pictures=False))
        assert number_of(picture(mute, 5)) == 5
        assert sound(dark).seconds > 2
        with refused("E_SOUND_TRACK", where=mute):
            sound(mute)
        with refused("E_VIDEO_TRACK", where=dark):
            picture(dark, 5)

    def test_a_file_that_is_no_whole_video_is_refused(self, tmp_path: Path) -> None:
        content = make_video(tmp_path / "whole.mp4").read_bytes()
        for name, left, code in (
            ("cut.mp4", content[: len(content) // 2], "E_VIDEO_TRUNCATED"),
            ("empty.mp4", b"", "E_FILE_EMPTY"),
            ("text.mp4", b"1\n00:00:01,000 --> 00:00:02,000\nhello\n", "E_VIDEO_DAMAGED"),
            ("list.mp4", b"#EXTM3U\nwhole.mp4\n", "E_VIDEO_DAMAGED"),
        ):
            (tmp_path / name).write_bytes(left)
            with refused(code, where=name), open_video(tmp_path / name):
                pass
        with refused("E_FILE_MISSING"), open_video(tmp_path / "none.mp4"):
            pass

    def test_the_middle_of_a_video_of_unknown_length_is_refused(self, tmp_path: Path) -> None:
        path = make_video(tmp_path / "live.mkv", Made(live=True))
        with open_video(path) as video:
            assert number_of(video.picture(Moment(60, Fraction(25)))) == 60
            with refused("E_VIDEO_DAMAGED", where=path):
                _ = video.middle

    def test_damage_inside_is_refused(self, tmp_path: Path) -> None:
        path = make_video(tmp_path / "damaged.mp4", Made(layout=""))
        content = bytearray(path.read_bytes())
        place = content.index(b"mdat")
        for step in range(place + 1000, place + 4000, 7):
            content[step] ^= 0xFF
        path.write_bytes(content)
        with refused("E_VIDEO_DAMAGED"):
            picture(path, 70)


def pack_b_frames(path: Path, packed: Path) -> Path:
    """Put each B-frame into the packet of the picture before it, as DivX does."""
    begin = b"\0\0\1\xb6"  # of a picture
    with av.open(str(path)) as source, av.open(str(packed), "w") as target:
        track = source.streams.video[0]
        contents = [bytes(packet) for packet in source.demux(track) if packet.size]
        head, _, rest = contents[0].partition(begin)
        contents[0] = head + b"\0\0\1\xb2DivX503b1393p" + begin + rest
        for place, content in enumerate(contents):
            if content[content.index(begin) + 4] >> 6 == 2:  # a B-frame
                contents[place - 1] += content
                contents[place] = begin + b"\x50\x00\x7f"  # a picture like the one before
        made = target.add_stream_from_template(track)
        for place, content in enumerate(contents):
            packet = av.Packet(content)
            packet.stream, packet.time_base = made, Fraction(1, 25)
            packet.pts = packet.dts = place
            packet.is_keyframe = place % 25 == 0
            target.mux(packet)
    return packed


def ffmpeg(path: Path, options: list[str]) -> bytes:
    command = ["ffmpeg", "-v", "error", "-i", str(path), *options, "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout
