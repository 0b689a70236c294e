"""Cutting a picture and a sound out of a video, as FFmpeg's own command does.

Pictures are counted from the first one of the video, and turned as the file says. Sounds are timed
from the beginning of the file: one that starts late begins with silence, and gaps are silent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.errors import DataError, Problem
from ssl_bench.files import atomic_path
from ssl_bench.media.audio import MAX_SAMPLES
from ssl_bench.media.avi import Arrival, times_of
from ssl_bench.media.containers import contents_of
from ssl_bench.media.find import require_content
from ssl_bench.media.image import MAX_PIXELS
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform

WELL_MOVING = VideoInput(frames=9, rate=25)
"""The frames that a video around a picture should have, as the published AVObject asks for them."""

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
"""File names that are taken for videos."""

# No playlist, whose entries would be opened as well.
_DEMUXERS = "mov,matroska,avi"
_MATRIX = "DISPLAYMATRIX"
_LAYOUTS = {1: "mono", 2: "stereo"}
# Microseconds: the unit of a container's own times.
_MICRO = 1_000_000
# Seconds by which times may differ that mean the same.
_SAME = 1e-6
# Of videos that are written: steps of time in a second, and pictures, at most.
_STEPS, _MOST_PICTURES = 12_800, 60
# Seconds that are decoded before a sound that begins inside a file, for decoders that look back.
_LEAD = 1.0
# Seconds of a sound that may be damaged; they are silent.
_MOST_LOST = 0.25


class Moment(NamedTuple):
    """A picture by its number, from 0, where so many pictures are shown in a second."""

    number: int
    rate: Fraction


class Video:
    """An open video; see :func:`open_video`.

    Attributes
    ----------
    seconds
        How long it lasts by its headers; 0 where they do not say.
    rate
        Pictures in a second, on average; 0 without pictures.
    """

    def __init__(self, path: Path, container: Any) -> None:
        self._path, self._container = path, container
        self._timed = container.format.name != "avi"
        # The picture on the cover of a sound is no video.
        tracks = [each for each in container.streams.video if not _is_cover(each)]
        self._pictures = tracks[0] if tracks else None
        self._sounds = next(iter(container.streams.audio), None)
        self.seconds = float((container.duration or 0) / _MICRO)
        self._begin = Fraction(container.start_time or 0, _MICRO)
        rate = self._pictures.average_rate if self._pictures is not None else None
        self.rate = Fraction(rate or 0)
        if self._pictures is not None:
            # Several videos are decoded at a time, each by one thread.
            self._pictures.codec_context.thread_count = 1

    @property
    def middle(self) -> float:
        """The second in the middle; DataError where the headers do not say how long it lasts."""
        if not self.seconds:
            raise length_unknown(self._path)
        return self.seconds / 2

    def picture(self, moment: Moment, *, or_last: bool = False) -> NDArray[np.uint8]:
        """The picture ``(height, width, 3)`` uint8 RGB of a moment.

        As ``fps=RATE,select=eq(n,NUMBER)`` chooses it: the last one whose time, as a number of
        pictures at that rate, is not over `number` when it is rounded.

        Raises
        ------
        DataError
            If there are no pictures, they are damaged, or end before that moment (unless
            `or_last`, which takes the last one).
        """
        found = self._frame_of(moment, or_last=or_last)
        with _blamed(self._path):
            return _turned(found)

    def second_of(self, moment: Moment, *, or_last: bool = False) -> float:
        """The second, from the beginning of the file, at which :meth:`picture` begins to show.

        Raises as it does.
        """
        found = self._frame_of(moment, or_last=or_last)
        return float(found.pts * found.time_base - self._begin)

    def _frame_of(self, moment: Moment, *, or_last: bool) -> Any:
        """The frame that :meth:`picture` is made of."""
        track = self._pictures
        if track is None:
            raise self._refusal("has no pictures", "E_VIDEO_TRACK")
        if track.codec_context.width * track.codec_context.height > MAX_PIXELS:
            raise self._refusal(f"has more than {MAX_PIXELS:,} pixels", "E_VIDEO_TOO_LARGE")
        if not (track.time_base and moment.rate):
            raise self._refusal("does not say when its pictures are shown", "E_VIDEO_DAMAGED")
        first = (track.start_time or 0) if self._timed else self._times[0]
        steps = track.time_base * moment.rate
        offset = _rounded(first * steps)
        target = first + int(moment.number / steps)
        with _blamed(self._path):
            found, ended = self._last_until(moment.number, target, steps, offset)
        # The last picture is shown for as long as the others.
        shown = max(1, round(moment.rate / self.rate)) if self.rate else 1
        if found is None or (
            ended and not or_last and _rounded(found.pts * steps) - offset + shown <= moment.number
        ):
            second = float(moment.number / moment.rate)
            raise self._refusal(f"ends before second {second:.6g}", "E_CLIP_SPAN")
        return found

    def pictures(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """All pictures, each with its second from the beginning of the file."""
        if self._pictures is None:
            raise self._refusal("has no pictures", "E_VIDEO_TRACK")
        frames = self._shown(None)
        while True:
            with _blamed(self._path):
                frame = next(frames, None)
                pixels = None if frame is None else _turned(frame)
            if frame is None or pixels is None:
                return
            if frame.pts is not None:
                yield float(frame.pts * frame.time_base - self._begin), pixels

    def frames(
        self, second: float, video: VideoInput, middle: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Frames ``(n, height, width, 3)`` uint8 RGB around a second from the beginning.

        Each is the last picture up to its moment; before the first and after the last, these
        stand still. Where the `middle` one is given, the others are brought to its size.

        Raises
        ------
        DataError
            If there are no pictures, or they are damaged.
        """
        pixels = list(self.frames_in_turn(second, video))
        if middle is not None:
            pixels = [_of_size(each, middle) for each in pixels]
            pixels[len(pixels) // 2] = middle
        return np.stack(pixels)

    def frames_in_turn(self, second: float, video: VideoInput) -> Iterator[NDArray[np.uint8]]:
        """The same frames one by one, so that they need not all be in memory; raises alike."""
        if self._pictures is None:
            raise self._refusal("has no pictures", "E_VIDEO_TRACK")
        wanted = [second + at for at in video.moments]
        try:
            found = self._shown_at(wanted, wanted[0]) if self._timed else []
        except DataError:
            found = []  # what precedes a key picture may lack what it refers to
        found = found or self._shown_at(wanted, None)
        if not found:
            raise self._refusal("has no pictures", "E_VIDEO_TRACK")
        for frame in found:
            with _blamed(self._path):
                pixels = _turned(frame)
            yield pixels

    def _shown_at(self, wanted: Sequence[float], start: float | None) -> list[Any]:
        """Frames that are shown at some seconds; none where reading began after the first."""
        track: Any = self._pictures
        place = None
        if start is not None:
            place = int((self._begin + Fraction(max(start, 0.0))) / track.time_base)
        found: list[Any] = [None] * len(wanted)
        for frame in self._shown(place):
            if frame.pts is None:
                continue
            at = float(frame.pts * frame.time_base - self._begin)
            if found[0] is None and start is not None and at > max(wanted[0], 0.0):
                return []
            for number, second in enumerate(wanted):
                if found[number] is None or at <= second + _SAME:
                    found[number] = frame
            if at > wanted[-1]:
                break
        return [] if found[0] is None else found

    def _last_until(
        self, number: int, target: int, steps: Fraction, offset: int
    ) -> tuple[Any, bool]:
        """The last picture up to a number, and whether no other follows; None for no picture."""
        try:
            found = self._scan(number, target, steps, offset) if self._timed else (None, True)
            if found[0] is not None:
                return found
        except DataError:
            pass  # what precedes a key picture may lack what it refers to
        # Where the place cannot be found in an index, all is decoded.
        return self._scan(number, None, steps, offset)

    def _scan(
        self, number: int, place: int | None, steps: Fraction, offset: int
    ) -> tuple[Any, bool]:
        """As :meth:`_last_until`, from the key picture before a place on, or from the first."""
        found, sure = None, place is None
        for frame in self._shown(place):
            if frame.pts is None:
                continue
            if _rounded(frame.pts * steps) - offset > number and (found is not None or not sure):
                return found, False
            sure = sure or bool(frame.key_frame)
            found = frame if sure else None
        return found, True

    def _shown(self, place: int | None) -> Iterator[Any]:
        """Pictures with their times, from the key picture before a place on, or from the first."""
        times = None if self._timed else self._times
        self._seek(self._pictures, place)
        frames = self._decoded(self._pictures)
        if times is None:
            yield from frames
            return
        for frame, at in zip(frames, times, strict=False):
            frame.pts = at
            yield frame

    @cached_property
    def _times(self) -> list[int]:
        """Times of all pictures of a file that does not keep them: all of it is decoded."""
        self._seek(self._pictures, None)
        read: list[int | None] = []
        arrivals = [
            Arrival(None if read[-1] is None else len(read) - 1, frame.pts)
            for frame in self._decoded(self._pictures, read=read)
        ]
        times = times_of([place for place in read if place is not None], arrivals)
        if not times:
            problem = "is an AVI file that does not say when its pictures are shown"
            raise self._refusal(problem, "E_VIDEO_DAMAGED")
        return times

    def sound(
        self, rate: int, channels: int = 1, *, start: float = 0.0, seconds: float | None = None
    ) -> Waveform:
        """The sound, or `seconds` of it from second `start`, as int16 of a rate and channels.

        Mixed and resampled as FFmpeg does. DataError if there is no sound there, or it is damaged.
        """
        track = self._sounds
        if track is None:
            raise self._refusal("has no sound track", "E_SOUND_TRACK")
        if track.codec_context is None:
            raise self._refusal("has a sound that FFmpeg has no decoder for", "E_SOUND_CODEC")
        with _blamed(self._path):
            pieces = list(self._resampled(track, rate, channels, start, seconds))
        if not pieces:
            ends = f"no sound from second {start:.6g} on" if start else "no sound"
            raise self._refusal(f"has {ends}", "E_CLIP_SPAN" if start else "E_SOUND_EMPTY")
        return Waveform(np.concatenate(pieces), rate)

    def _resampled(
        self, track: Any, rate: int, channels: int, start: float, seconds: float | None
    ) -> Iterator[NDArray[np.int16]]:
        begin = self._begin + Fraction(start)
        lead = int((begin - Fraction(_LEAD)) / track.time_base)
        self._seek(track, lead if start > _LEAD else None)
        graph: Any = None
        form: tuple[Any, ...] = ()
        count = 0
        for frame in self._decoded(track, forgiven=_MOST_LOST):
            if frame.pts is None or not frame.samples:
                continue
            frame.pts -= _rounded(begin / frame.time_base)
            at = frame.pts * frame.time_base
            if seconds is not None and at >= seconds:
                break
            if at + Fraction(frame.samples, frame.sample_rate) <= 0:
                continue
            # A gap before it would be filled.
            if at * rate * channels > MAX_SAMPLES:
                problem = f"has more than {MAX_SAMPLES:,} samples of sound"
                raise self._refusal(problem, "E_SOUND_TOO_LONG")
            now = frame.format.name, frame.layout.name, frame.sample_rate, frame.time_base
            for piece in _drained(graph) if now != form else ():
                count += len(piece)
                yield piece
            if now != form:
                graph, form = _resampler(frame, rate, channels, count, seconds), now
            graph.push(frame)
            for piece in _pulled(graph):
                count += len(piece)
                yield piece
        yield from _drained(graph)

    def _seek(self, track: Any, place: int | None) -> None:
        import av

        first = track.start_time or 0
        if self._timed:
            # Decoders of sounds need what comes before the first sample, which AVI files lack.
            first -= int(_LEAD / track.time_base)
        with suppress(av.error.FFmpegError):
            self._container.seek(first if place is None else place, stream=track)

    def _decoded(
        self, track: Any, forgiven: float = 0.0, read: list[int | None] | None = None
    ) -> Iterator[Any]:
        """Frames of a track; damage that costs no more seconds than `forgiven` is passed over.

        `read` gets the place of each packet before it is decoded, and None for the end.
        """
        import av

        lost = 0.0
        for packet in self._container.demux(track):
            if read is not None:
                read.append(packet.dts if packet.size else None)
            try:
                frames = packet.decode()
            except av.error.EOFError:
                continue
            except av.error.FFmpegError as error:
                lost += float((packet.duration or 1) * track.time_base)
                if lost > forgiven:
                    raise self._damaged(track.type) from error
                continue
            for frame in frames:
                if track.type == "video" and frame.is_corrupt:
                    raise self._damaged(track.type)
                yield frame

    def _damaged(self, kind: str) -> DataError:
        what = "pictures" if kind == "video" else "sounds"
        code = "E_VIDEO_DAMAGED" if kind == "video" else "E_SOUND_DAMAGED"
        return self._refusal(f"has damaged {what}", code)

    def _refusal(self, problem: str, code: str) -> DataError:
        return _refusal(self._path, problem, code)


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Open a video file that is whole by its headers.

    Raises
    ------
    DataError
        If it is missing, empty, truncated, damaged, or in no format that is read.
    """
    import av

    require_content(path)
    if contents_of(path).damage == "truncated":
        raise _refusal(path, "is truncated", "E_VIDEO_TRUNCATED")
    # A name with a colon is no address of FFmpeg's.
    name, options = f"file:{os.fspath(path)}", {"format_whitelist": _DEMUXERS}
    with _blamed(path):
        container = av.open(name, options=options, metadata_errors="ignore")
    with container:
        yield Video(path, container)


def examine_video(path: Path) -> tuple[Problem, ...]:
    """Decode the frames around the middle of a video, and remark on one that is short.

    The code of the remark is ``N_VIDEO_SHORT``.

    Raises
    ------
    DataError
        As :func:`open_video` does, and if there are no pictures, they are damaged, or the headers
        do not say how long it lasts.
    """
    with open_video(path) as video:
        for _ in video.frames_in_turn(video.middle, WELL_MOVING):
            pass
        if video.seconds > WELL_MOVING.seconds - _SAME:
            return ()
        text = f"it lasts {video.seconds:.3g} s, beyond which it stands still"
        return (Problem(text, "N_VIDEO_SHORT"),)


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    """Blame the video for what PyAV raises."""
    import av

    try:
        yield
    except (av.error.FFmpegError, ValueError) as error:
        problem = "is damaged, or no MP4, MOV, MKV, WebM or AVI"
        raise _refusal(path, problem, "E_VIDEO_DAMAGED") from error


def write_video(
    path: Path,
    pictures: Iterable[tuple[float, NDArray[np.uint8]]],
    sound: Waveform | None = None,
    *,
    rate: float = _MOST_PICTURES,
    crf: int = 23,
    comment: str = "",
) -> int:
    """Write a video (H.264, AAC), whole or not at all; returns the number of its pictures.

    Pictures ``(height, width, 3)`` uint8 RGB are of one size with even sides, each with its second;
    a sound begins at second 0. The last one is shown for a picture's time at `rate`, at most 60. A
    smaller `crf` keeps more of the pictures, as x264 has it. The same pictures make the same file.
    A comment stands at its end.
    """
    import av

    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        if comment:
            container.metadata["comment"] = comment
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        shown: Any = container.add_stream(
            codec,
            rate=Fraction(rate).limit_denominator(_STEPS),
            options={"preset": "veryfast", "crf": str(crf)},
        )
        shown.pix_fmt, shown.codec_context.time_base = "yuv420p", Fraction(1, _STEPS)
        shown.codec_context.thread_count = 1
        tracks, samples = [shown], None
        if sound is not None:
            layout = _LAYOUTS[sound.samples.shape[1]]
            tracks.append(container.add_stream("aac", rate=sound.rate, layout=layout))
            planes = np.ascontiguousarray(sound.as_float().T.astype(np.float32))
            samples = av.AudioFrame.from_ndarray(planes, "fltp", layout)
            samples.sample_rate, samples.time_base = sound.rate, Fraction(1, sound.rate)
        count, last = 0, -1
        for second, pixels in pictures:
            if not count:
                shown.height, shown.width = pixels.shape[:2]
                if samples is not None:
                    container.mux(tracks[1].encode(samples))
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            last = max(last + 1, round(second * _STEPS))
            picture.pts, picture.time_base = last, Fraction(1, _STEPS)
            container.mux(shown.encode(picture))
            count += 1
        for track in tracks:
            container.mux(track.encode(None))
    return count


def length_unknown(path: Path | None = None) -> DataError:
    """The error about a video whose headers do not say how long it lasts."""
    return DataError(
        "this video does not say how long it lasts, so its middle is not known",
        code="E_VIDEO_DAMAGED",
        where=path,
        remedy="copy it into another file, as by 'ffmpeg -i OLD -c copy NEW.mp4'",
    )


def _refusal(path: Path, problem: str, code: str) -> DataError:
    return DataError(
        f"this video {problem}",
        code=code,
        where=path,
        remedy="get this clip again, or leave it out",
    )


def _is_cover(track: Any) -> bool:
    from av.stream import Disposition

    return bool(track.disposition & Disposition.attached_pic) or track.codec_context is None


def _of_size(pixels: NDArray[np.uint8], like: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.shape == like.shape:
        return pixels
    size = (like.shape[1], like.shape[0])
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def _rounded(value: Fraction) -> int:
    """The nearest whole number; halves go up, as in FFmpeg's filters."""
    return int((value + Fraction(1, 2)) // 1)


def _turned(frame: Any) -> NDArray[np.uint8]:
    """The pixels of a picture, turned and mirrored as its display matrix says."""
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    side_data = frame.side_data.get(_MATRIX)
    if side_data is None:
        return pixels
    matrix = np.frombuffer(bytes(side_data), "=i4")
    (a, b), (c, d) = np.sign(np.round(matrix[[[0, 1], [3, 4]]] / 2**16)).astype(int)
    if a == d == 0:  # columns become rows
        pixels = pixels.transpose(1, 0, 2)
        a, d = c, b
    pixels = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(pixels)


def _resampler(frame: Any, rate: int, channels: int, count: int, seconds: float | None) -> Any:
    """A graph of filters that puts frames of one form behind `count` samples, with silent gaps."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate,
        format=frame.format.name,
        layout=frame.layout.name,
        time_base=frame.time_base,
    )
    nodes = [source]
    until = "" if seconds is None else f":end={seconds}"
    nodes.append(graph.add("atrim", f"start=0{until}"))
    nodes.append(graph.add("aresample", f"{rate}:async=1:first_pts={count}"))
    form = f"sample_fmts=s16:sample_rates={rate}:channel_layouts={_LAYOUTS[channels]}"
    nodes.append(graph.add("aformat", form))
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes).configure()
    return graph


def _pulled(graph: Any) -> list[NDArray[np.int16]]:
    import av

    pieces: list[NDArray[np.int16]] = []
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return pieces
        channels = frame.layout.nb_channels
        pieces.append(frame.to_ndarray().reshape(-1, channels))


def _drained(graph: Any) -> list[NDArray[np.int16]]:
    if graph is None:
        return []
    graph.push(None)
    return _pulled(graph)
