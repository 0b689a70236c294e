"""What a name says about a clip: which one it is, and which video it is from.

Lists, files and predictions spell one clip in many ways: with folders and media endings, as a URL,
start seconds with or without leading zeros, start and end, milliseconds, ``0:30``, a ``Y`` or a
label in front, or twice. How a text is read depends on the clips at hand: eleven characters can be
a YouTube video where there are such videos, and a number is one where videos are numbers (Flickr).
Other names stand for themselves.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_MEDIA = (
    "jpg jpeg png webp bmp gif tif tiff avif wav flac ogg oga opus mp3 m4a aac aif aiff au mp4 m4v "
    "mkv webm avi mov flv mpg mpeg 3gp npy npz pt pth pkl h5 mat xml"
)
ENDINGS = frozenset(_MEDIA.split())
"""What a name may end with, after a full stop, without being another clip's."""

_MAX_LENGTH = 500
_MOST = 0.9
_YOUTUBE_LENGTH = 11
_YOUTUBE = re.compile(r"(?=.*[^0-9])[A-Za-z0-9_-]{11}")
_NO_NAME = re.compile(r"[\s/\\]")
_USUAL = re.compile(r"(?=.*[^0-9].{7})[A-Za-z0-9_-]{11}_[0-9]{6}")
# A video between what cannot be part of a word, perhaps with a Y before it; all places count.
_DELIMITED = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=(?<![A-Za-z0-9])Y))"
    r"(?=(?P<video>[A-Za-z0-9_-]{11})(?![A-Za-z0-9]))"
)
_NUMBER = r"([0-9]{1,12})(\.[0-9]{1,9})?(?:s|sec|ms)?(?![0-9A-Za-z])"
_TIMES = re.compile(rf"[^0-9A-Za-z]*(?:t=)?{_NUMBER}(?:[^0-9A-Za-z]+{_NUMBER})?")
_CLOCK = re.compile(r"(?<![0-9:])(?:([0-9]{1,3}):)?([0-9]{1,3}):([0-9]{2})(?![0-9:])")
_PADDED = re.compile(r"(.+?)_([0-9]{6})(?:_[0-9]{6})?")


class Clip(NamedTuple):
    """A clip by its id, which is that of its video where it is all of it, and its video."""

    id: str
    video: str


def bare(text: str) -> str:
    r"""A name without folders and media endings, in composed form (NFC).

    A path that climbs is left as it is: it can be no id.

    Examples
    --------
    >>> bare("clips/dog/zYf0pcZ5q3M_000030.mp4.WAV"), bare("C:\\clips\\a.b"), bare("a_30.000")
    ('zYf0pcZ5q3M_000030', 'a.b', 'a_30.000')
    """
    name = text.strip()
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    if "/" in name or "\\" in name:
        parts = re.split(r"[/\\]", name.rstrip("/\\"))
        name = name if ".." in parts else parts[-1].removeprefix("watch?v=")
    while True:
        stem, _, ending = name.rpartition(".")
        if not stem or ending.lower() not in ENDINGS:
            return name
        name = stem


def in_order(name: str) -> tuple[tuple[bool, float, str], ...]:
    """Key that sorts names by the numbers in them.

    Examples
    --------
    >>> sorted(["frame_10", "frame_9", "frame_1"], key=in_order)
    ['frame_1', 'frame_9', 'frame_10']
    """
    parts = re.split(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)", name)
    numbers = ((place % 2 == 1, part) for place, part in enumerate(parts))
    return tuple((number, float(part) if number else 0.0, part) for number, part in numbers)


class ClipNames:
    """The names of some clips, and how others spell them.

    Parameters
    ----------
    videos
        The video of each clip by its id; none for reading names with nothing to compare them with.
    aliases
        Ids by further names of theirs.

    Examples
    --------
    >>> names = ClipNames({"zYf0pcZ5q3M_000030": "zYf0pcZ5q3M"})
    >>> names.read("dog_zYf0pcZ5q3M_30000_40000.wav")
    Clip(id='zYf0pcZ5q3M_000030', video='zYf0pcZ5q3M')
    >>> names.read("zYf0pcZ5q3M_90").id, names.read("Y---g-f_I2yQ_30.000").id
    ('zYf0pcZ5q3M_000090', '---g-f_I2yQ_000030')
    >>> print(names.read("10000130166"), names.read("holiday"))
    None None
    """

    def __init__(
        self, videos: Mapping[str, str] | None = None, aliases: Mapping[str, str] | None = None
    ) -> None:
        known = videos or {}
        self.videos = frozenset(known.values())
        self._clips = {_composed(name): Clip(name, video) for name, video in known.items()}
        self._ids = frozenset(known)
        for alias, name in (aliases or {}).items():
            self._clips.setdefault(alias, Clip(name, known[name]))
        tubes = [video for video in self.videos if _YOUTUBE.fullmatch(video)]
        numbers = [video for video in self.videos if video.isdecimal()]
        self._folded = {video.lower(): video for video in tubes}
        self._only_youtube = len(tubes) > 0 and len(tubes) >= _MOST * len(self.videos)
        self._shortest = min(map(len, numbers), default=0)
        self._with_start = bool(known) and all(
            name == f"{video}_{name[-6:]}" and name[-6:].isdecimal()
            for name, video in known.items()
        )
        # Where clips of a numbered video have starts, the number alone does not say which.
        some = len(numbers) > 0 and not self._with_start
        self._only_numbers = some and len(numbers) >= _MOST * len(self.videos)

    def __contains__(self, clip: object) -> bool:
        """Whether a clip has this id."""
        return clip in self._ids

    @property
    def example(self) -> str:
        """One of the ids; empty where there is none."""
        return next(iter(self._clips.values())).id if self._clips else ""

    def read(self, text: str) -> Clip | None:
        """The clip that a text names, known or not; None where the text cannot be understood.

        Where it can be read in several ways, a known clip comes first, then a known video.
        """
        name = bare(text)
        exact = self._clips.get(text) or self._clips.get(name)
        if exact is not None:
            return exact
        if not name or len(name) > _MAX_LENGTH or not name.isprintable():
            return None
        name = _CLOCK.sub(_seconds, name) if ":" in name else name
        if self._only_numbers:
            return self._number(name)
        found = self._known(name) or _unknown(name)
        if found is not None or self._only_youtube:
            return found
        padded = _PADDED.fullmatch(name)
        if padded is not None:
            return Clip(f"{padded[1]}_{padded[2]}", padded[1])
        if self._clips and (self._with_start or _NO_NAME.search(name)):
            return None
        return Clip(name, name)

    def _number(self, name: str) -> Clip | None:
        runs = re.findall(r"\d+", name)
        known = next((run for run in runs if run in self.videos), None)
        if known is None:
            delimited = re.findall(r"(?<![0-9A-Za-z])\d+(?![0-9A-Za-z])", name)
            known = next((run for run in delimited if len(run) >= self._shortest), None)
        return None if known is None else self._clips.get(known, Clip(known, known))

    def _known(self, name: str) -> Clip | None:
        """The clip of a known video whose name stands anywhere in a text, or before a number."""
        found = None
        for video, end in self._places(name):
            times = _TIMES.match(name, end)
            starts = [] if times is None else list(_starts(times))
            for start in starts:
                clip = self._clips.get(_spelled(video, start))
                if clip is not None:
                    return clip
            found = found or Clip(_spelled(video, *starts[:1]), video)
        return found

    def _places(self, name: str) -> Iterator[tuple[str, int]]:
        """Known videos in a name, and where they end."""
        if self._folded:
            folded = name.lower() if name.isascii() else name
            for place in range(len(name) - _YOUTUBE_LENGTH + 1):
                video = self._folded.get(folded[place : place + _YOUTUBE_LENGTH])
                if video is not None:
                    yield video, place + _YOUTUBE_LENGTH
        if self._only_youtube:
            return
        if name in self.videos:
            yield name, len(name)
        if self._with_start:
            for match in re.finditer(r"[_-](?=\d)", name):
                if name[: match.start()] in self.videos:
                    yield name[: match.start()], match.start()


def clip_names(ids: Iterable[str]) -> ClipNames:
    """Clips whose ids are spelled in any way, and are distinguished by their spelling.

    Examples
    --------
    >>> clip_names(["zYf0pcZ5q3M_30"]).read("zYf0pcZ5q3M_000030.wav")
    Clip(id='zYf0pcZ5q3M_30', video='zYf0pcZ5q3M')
    """
    alone = {name: _ALONE.read(name) or Clip(name, name) for name in ids}
    shared = Counter(clip.id for clip in alone.values())
    return ClipNames(
        {name: clip.video for name, clip in alone.items()},
        {clip.id: name for name, clip in alone.items() if shared[clip.id] == 1},
    )


def video_of(name: str) -> str:
    """The video of a clip; a name that says no start second is a whole video.

    Examples
    --------
    >>> video_of("zYf0pcZ5q3M_30"), video_of("party_000030"), video_of("party_30")
    ('zYf0pcZ5q3M', 'party', 'party_30')
    """
    clip = _ALONE.read(name)
    return name if clip is None else clip.video


_ALONE = ClipNames()


@dataclass(frozen=True)
class ReadNames:
    """What the names of a list say: distinct clips by id, repetitions, and what is not clear."""

    clips: Mapping[str, Clip]
    repeated: int = 0
    not_understood: tuple[str, ...] = field(default=())


def read_names(texts: Iterable[str], known: ClipNames = _ALONE) -> ReadNames:
    """Read many names.

    Examples
    --------
    >>> read = read_names(["zYf0pcZ5q3M_30.mp4", "zYf0pcZ5q3M_000030", " "])
    >>> list(read.clips), read.repeated, read.not_understood
    (['zYf0pcZ5q3M_000030'], 1, (' ',))
    """
    clips: dict[str, Clip] = {}
    unclear = []
    count = 0
    for text in texts:
        clip = known.read(text)
        if clip is None:
            unclear.append(text)
        else:
            count += 1
            clips[clip.id] = clip
    return ReadNames(clips, count - len(clips), tuple(unclear))


def _seconds(clock: re.Match[str]) -> str:
    hours, minutes, seconds = (int(part or 0) for part in clock.groups())
    return str(3600 * hours + 60 * minutes + seconds)


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _unknown(name: str) -> Clip | None:
    """A YouTube clip that no known video stands for: with a start second, or nothing else."""
    if _USUAL.fullmatch(name):
        return Clip(name, name[:_YOUTUBE_LENGTH])
    found: Clip | None = None
    end, clear = 0, False
    for match in _DELIMITED.finditer(name):
        video = match["video"]
        if not _YOUTUBE.fullmatch(video):
            continue
        end_of_video = match.end("video")
        times = _TIMES.match(name, end_of_video)
        in_url = name[end_of_video : end_of_video + 1] in ("?", "&")
        if name in (video, f"Y{video}") or (in_url and times is None):
            return Clip(video, video)
        if times is None:
            continue
        # Of two that share characters, the one with nothing but numbers behind it.
        whole = times.end() == len(name)
        if found is None or (whole and not clear and match.start() < end):
            found = Clip(_spelled(video, next(_starts(times))), video)
            end, clear = end_of_video, whole
    return found


def _starts(times: re.Match[str]) -> Iterator[float]:
    """Seconds that may be meant by the numbers behind a video, the likeliest first."""
    first, second = int(times[1]), None if times[3] is None else int(times[3])
    if times[2] is not None:
        yield float(times[1] + times[2])
        if times[0].startswith("."):  # which then may stand between start and end, too
            yield first
        return
    # A clip lasts for whole seconds, and less than a quarter of an hour.
    length = 0 if second is None else second - first
    both_whole = first >= 1000 and not first % 1000 and bool(second) and not (second or 1) % 1000
    long = length >= 1000 and not length % 1000
    if both_whole or long or first >= 10**6:
        yield from (first / 1000, first)
    else:
        yield from (first, first / 1000)


def _spelled(video: str, start: float | None = None) -> str:
    if start is None:
        return video
    whole = int(start)
    return f"{video}_{whole:06d}" if whole == start else f"{video}_{start:010.3f}"
