"""Making the pictures, sounds and videos of a test set or a training folder from video clips."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.errors import DataError, Problem, first_few
from ssl_bench.executors import HERE, Executor
from ssl_bench.files import files_of, remove_left_overs, scratch_folder
from ssl_bench.media.audio import AUDIO_SUFFIXES, write_wav
from ssl_bench.media.check import Checked, Facts, Kind
from ssl_bench.media.find import MediaFiles, key_of
from ssl_bench.media.image import IMAGE_SUFFIXES
from ssl_bench.media.names import ClipNames, clip_names, read_names, video_of
from ssl_bench.media.origins import Settings, comment_of, origin_of
from ssl_bench.media.video import VIDEO_SUFFIXES, Video, open_video, write_video
from ssl_bench.media.video_input import VideoInput
from ssl_bench.testsets.audit import require_understood
from ssl_bench.testsets.cutting import CONVENTIONS, Span
from ssl_bench.testsets.folder import AUDIO, FRAMES, VIDEOS, FolderDefinition, FolderTestSet
from ssl_bench.testsets.lists import ClipList
from ssl_bench.testsets.silent import unannotated

_SUFFIXES: Mapping[Kind, Sequence[str]] = {
    "image": IMAGE_SUFFIXES,
    "sound": AUDIO_SUFFIXES,
    "video": VIDEO_SUFFIXES,
}
# Of JPEG and of H.264, which a network reads.
_QUALITY, _CRF = 95, 18
_START = re.compile(r"_([0-9]{6}(?:\.[0-9]{3})?)")
_NUMBER = re.compile(r".*_([1-9][0-9]{0,3})")
_SHOWN = 3


@dataclass(frozen=True)
class Cut:
    """What is to be made of one clip.

    Attributes
    ----------
    id
        The sample.
    clip
        The clip that its video is named after.
    image, sound, video
        The files to write; None for what is there, or is not asked for.
    number
        Which of the clip's pictures it is, from 1.
    """

    id: str
    clip: str
    image: Path | None
    sound: Path | None
    video: Path | None
    number: int = 1


@dataclass(frozen=True)
class CutOptions:
    """How clips are cut.

    Attributes
    ----------
    convention
        One of :data:`~ssl_bench.testsets.cutting.CONVENTIONS`.
    rate, channels
        Of the sounds.
    seconds
        How long a clip lasts that is a part of a longer video; None for what the convention says.
    videos
        The frames around each picture that become a video; None for no videos.
    executor
        Where clips are worked on.
    progress
        Called with how many are done and how many there are.
    """

    convention: str = "middle"
    rate: int = 16000
    channels: int = 1
    seconds: float | None = None
    videos: VideoInput | None = None
    executor: Executor = HERE
    progress: Callable[[int, int], object] = lambda _done, _all: None

    def settings(self, kind: Kind, *, is_part: bool) -> Settings:
        """What decides how a clip is cut, whether it is all of a video or a part of it."""
        seconds = self.seconds or CONVENTIONS[self.convention].seconds
        length = {"seconds": seconds if is_part else None}
        if kind == "sound":
            return {**length, "rate": self.rate, "channels": self.channels}
        if kind == "image" or self.videos is None:
            return {**length, "convention": self.convention}
        around = {"frames": self.videos.frames, "rate": self.videos.rate}
        return {**length, "convention": self.convention, **around}


@dataclass(frozen=True)
class Prepared:
    """What came of it, as numbers of files of each kind, and what could not be made, and why.

    Attributes
    ----------
    made, again
        How many were made, and how many of these in the place of others with other settings.
    kept, unknown
        How many were there already, and how many of these do not say what they were made with.
    """

    made: Mapping[Kind, int]
    again: Mapping[Kind, int]
    kept: Mapping[Kind, int]
    unknown: Mapping[Kind, int]
    problems: tuple[Checked, ...]


@dataclass
class _There:
    """What is there: how much is kept of each kind, and which files have other settings."""

    kept: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(_SUFFIXES, 0))
    unknown: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(_SUFFIXES, 0))
    other: set[Path] = field(default_factory=set)


def cuts_of_test_set(
    declared: FolderDefinition, test_set: FolderTestSet, listed: ClipList | None = None
) -> list[Cut]:
    """What is to be made of the clips of a test set, or of those of its clips that are listed.

    Clips of its list of silent pairs, where it is there, are among them. A picture that several
    samples show is made of one clip: that of the first whose sound is named like it, if there is
    one, or else of the first.
    """
    ids = [sample.id for sample in test_set.samples]
    if declared.silent_list is not None and (test_set.folder / declared.silent_list).is_file():
        ids += unannotated(test_set.silent_pairs(), frozenset(ids))
    if listed is not None:
        known = ClipNames({name: video_of(name) for name in ids})
        read = read_names((*listed.names, *listed.tests), known)
        require_understood(read, known, where=listed.path)
        ids = [name for name in ids if name in read.clips]
    cuts, seen = [], set()
    (images, *_), (sounds, *_), (videos, *_) = (
        declared.media_folders(test_set.folder, kind) for kind in (FRAMES, AUDIO, VIDEOS)
    )
    made_by: dict[str, str] = {}
    for name in ids:
        image = test_set.image_name(name)
        alike = image == test_set.sound_name(name)
        if image not in made_by or (alike and image != test_set.sound_name(made_by[image])):
            made_by[image] = name
    for name in ids:
        image, sound = test_set.image_name(name), test_set.sound_name(name)
        number = _NUMBER.fullmatch(image)
        shows = made_by[image] == name
        cut = Cut(
            name,
            sound.rpartition("/")[2],
            images / f"{image}.jpg" if shows else None,
            None if sound in seen else sounds / f"{sound}.wav",
            videos / f"{image}.mp4" if shows else None,
            int(number[1]) if number else 1,
        )
        seen.add(sound)
        cuts.append(cut)
    return cuts


def cuts_of_folder(folder: Path, clips: Path, listed: ClipList | None = None) -> list[Cut]:
    """What is to be made of listed clips, or of all that lie in the folder `clips`."""
    stems = [path.stem for path in _videos_in(clips)]
    names = dict.fromkeys(stems)
    if listed is not None:
        own = clip_names(names)
        read = read_names(listed.names, own)
        require_understood(read, own, where=listed.path)
        names = dict.fromkeys(read.clips)
    return [
        Cut(
            name,
            name,
            folder / FRAMES / f"{name}.jpg",
            folder / AUDIO / f"{name}.wav",
            folder / VIDEOS / f"{name}.mp4",
        )
        for name in names
    ]


def prepare(
    cuts: Sequence[Cut], clips: Path, folder: Path, options: CutOptions | None = None
) -> Prepared:
    """Make what is asked for of clips; what is there is kept, and every file is written whole.

    What was made here before with other settings is made again, and takes its place when it is
    whole. Files that do not say what they were made with are kept.

    `folder` holds them all; files lie in hidden folders of it while they are written.

    The video of a clip lies anywhere below `clips`, named after the clip, in any spelling that
    :mod:`ssl_bench.media.names` reads; or it is the whole video, from which the part is cut that
    begins at the clip's start second.
    """
    settings = options or CutOptions()
    remove_left_overs(folder)
    if settings.videos is None:
        cuts = [replace(cut, video=None) for cut in cuts]
    todo, there = _without_kept(cuts, settings)
    found = _Videos(clips, [cut.clip for cut in cuts])
    problems: list[Checked] = []
    jobs: list[tuple[Cut, Path, float | None]] = []
    for cut in todo:
        try:
            jobs.append((cut, *found.of(cut.clip)))
        except DataError as error:
            problems += _problems(cut, None, dict.fromkeys(_missing(cut), error), there.other)
    # What is sent to other processes knows nothing of the progress shown here.
    sent = replace(settings, executor=HERE, progress=CutOptions.progress)
    made: dict[Kind, int] = dict.fromkeys(_SUFFIXES, 0)
    again = made.copy()
    settings.progress(0, len(jobs))
    folder.mkdir(parents=True, exist_ok=True)  # Where that fails, no process need be told
    with settings.executor.open(partial(_worker, sent, folder)) as run:
        for done, (place, errors) in enumerate(run(jobs), 1):
            cut, video, _ = jobs[place]
            problems += _problems(cut, video, errors, there.other)
            for kind in _missing(cut):
                made[kind] += kind not in errors
                again[kind] += kind not in errors and getattr(cut, kind) in there.other
            settings.progress(done, len(jobs))
    order = {cut.id: place for place, cut in enumerate(cuts)}
    return Prepared(
        made,
        again,
        there.kept,
        there.unknown,
        tuple(sorted(problems, key=lambda each: order[each.item])),
    )


def _missing(cut: Cut) -> list[Kind]:
    return [kind for kind in _SUFFIXES if getattr(cut, kind) is not None]


def _problems(
    cut: Cut, video: Path | None, errors: dict[Kind, DataError], other: Collection[Path]
) -> Iterator[Checked]:
    for kind, error in errors.items():
        is_other = getattr(cut, kind) in other
        still = "; the file made with other settings is still there" if is_other else ""
        yield Checked(cut.id, kind, video, Facts(Problem(error.problem + still, error.code)))


def _without_kept(cuts: Sequence[Cut], options: CutOptions) -> tuple[list[Cut], _There]:
    """What is left to be made, and what is there."""
    found = _There()
    left = list(cuts)
    for kind, suffixes in _SUFFIXES.items():
        below: dict[Path, list[str]] = {}
        for cut in cuts:
            target: Path | None = getattr(cut, kind)
            if target is not None:
                below.setdefault(target.parent, []).append(target.stem)
        there = {
            folder: MediaFiles(
                [folder],
                suffixes,
                key_of(ClipNames({name: video_of(name) for name in names})),
                frames=kind == "image",
            ).clips
            for folder, names in below.items()
        }
        for place, cut in enumerate(left):
            target = getattr(cut, kind)
            if target is None or target.stem not in there[target.parent]:
                continue
            origin = origin_of(target)
            if origin is not None and origin != options.settings(
                kind, is_part=origin.get("seconds") is not None
            ):
                found.other.add(target)
                continue
            absent: dict[str, Any] = {kind: None}
            left[place] = replace(cut, **absent)
            found.kept[kind] += 1
            found.unknown[kind] += origin is None
    return [cut for cut in left if _missing(cut)], found


def _videos_in(clips: Path) -> list[Path]:
    if not clips.is_dir():
        raise DataError("this folder does not exist", code="E_FOLDER_MISSING", where=clips)
    found = files_of(clips, ["**/*"])
    return [path for path in found if path.suffix.lower() in VIDEO_SUFFIXES]


class _Videos:
    """The videos below a folder, by clip, or by the video that clips are a part of."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        known = ClipNames({name: video_of(name) for name in names})
        self._files: dict[str, list[Path]] = {}
        self._whole: dict[str, list[Path]] = {}
        for path in _videos_in(folder):
            clip = known.read(path.stem)
            if clip is not None and clip.id in known:
                self._files.setdefault(clip.id, []).append(path)
            elif clip is not None and clip.id in known.videos:
                self._whole.setdefault(clip.id, []).append(path)

    def of(self, name: str) -> tuple[Path, float | None]:
        """The file of a clip, and the second at which it begins there; None where it is all of it.

        Raises DataError where there is none, or more than one.
        """
        video = video_of(name)
        start = _START.fullmatch(name.removeprefix(video))
        found = self._files.get(name, [])
        whole = [] if found or start is None else self._whole.get(video, [])
        paths = found or whole
        if len(paths) > 1:
            names = [str(path.relative_to(self._folder)) for path in paths[:_SHOWN]]
            raise DataError(
                f"several videos could be of {name!r}: {first_few(names)}",
                code="E_FILE_AMBIGUOUS",
                where=self._folder,
            )
        if not paths:
            raise DataError(
                f"there is no video of {name!r}", code="E_FILE_MISSING", where=self._folder
            )
        return paths[0], float(start[1]) if whole and start is not None else None


def _worker(options: CutOptions, folder: Path, device: str | None) -> Callable[[Any], Any]:
    del device
    return partial(_make, options, folder)


def _make(
    options: CutOptions, folder: Path, job: tuple[Cut, Path, float | None]
) -> dict[Kind, DataError]:
    """Write what a clip lacks; gives the errors of what cannot be made."""
    cut, path, start = job
    errors: dict[Kind, DataError] = {}
    try:
        with scratch_folder(folder / cut.id) as scratch, open_video(path) as video:
            for kind in _missing(cut):
                try:
                    _write(kind, cut, video, start, options, scratch)
                except DataError as error:
                    errors[kind] = error
    except DataError as error:
        return dict.fromkeys(_missing(cut), error)
    return errors


def _write(
    kind: Kind, cut: Cut, video: Video, start: float | None, options: CutOptions, scratch: Path
) -> None:
    convention = CONVENTIONS[options.convention]
    seconds = None if start is None else options.seconds or convention.seconds
    begin = start or 0.0
    if video.seconds and begin >= video.seconds:
        raise DataError(
            f"this video ends at second {video.seconds:.6g}, and the clip begins at {begin:.6g}",
            code="E_CLIP_SPAN",
        )
    temporary = scratch / kind
    comment = comment_of(options.settings(kind, is_part=start is not None))
    if kind == "sound":
        sound = video.sound(options.rate, options.channels, start=begin, seconds=seconds)
        write_wav(temporary, sound, comment)
    else:
        span = Span(begin, seconds or video.seconds, video.rate, cut.number)
        moment, or_last = convention.choose(span), convention.or_last
        if kind == "image":
            pixels = video.picture(moment, or_last=or_last)
            Image.fromarray(pixels).save(temporary, "JPEG", quality=_QUALITY, comment=comment)
        else:
            assert options.videos is not None
            second = video.second_of(moment, or_last=or_last)
            _write_around(temporary, video, second, options.videos, comment)
    target: Path = getattr(cut, kind)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(target)


def _write_around(
    target: Path, video: Video, second: float, asked: VideoInput, comment: str
) -> None:
    """Write the frames around a second as a video, in whose middle it is shown."""
    frames = enumerate(map(_even, video.frames_in_turn(second, asked)))
    shown = ((number / asked.rate, pixels) for number, pixels in frames)
    write_video(target, shown, rate=asked.rate, crf=_CRF, comment=comment)


def _even(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same picture with even sides, as H.264 needs them."""
    height, width = pixels.shape[:2]
    if height % 2 == width % 2 == 0:
        return pixels
    size = (width + width % 2, height + height % 2)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
