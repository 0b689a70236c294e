"""Test sets that lie in a folder: an annotation, with frames and sounds beside it."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, Problem
from ssl_bench.files import sha256_of_json
from ssl_bench.media.audio import AUDIO_SUFFIXES, read_audio
from ssl_bench.media.check import CheckOptions, Kind, Wanted, check_media
from ssl_bench.media.find import MediaFiles, key_of
from ssl_bench.media.image import IMAGE_SUFFIXES, read_image
from ssl_bench.media.names import ClipNames, video_of
from ssl_bench.media.video import VIDEO_SUFFIXES, open_video
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.packed import packed
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Annotation, Boxes, Mask
from ssl_bench.testsets.base import (
    Finding,
    Sample,
    SilentPair,
    TestSet,
    TestSetDefinition,
    corrupt,
    problem_of,
)
from ssl_bench.testsets.silent import read_silent_pairs, unannotated
from ssl_bench.testsets.tables import GRID, refuse
from ssl_bench.testsets.truth import encode_rle, render

FRAMES = "frames"
AUDIO = "audio"
VIDEOS = "videos"

_SUFFIXES = {FRAMES: IMAGE_SUFFIXES, AUDIO: AUDIO_SUFFIXES, VIDEOS: VIDEO_SUFFIXES}

# Share of the picture below which a region is remarked on: 25 pixels of the grid.
_SPECK = 0.0005


@dataclass(frozen=True)
class Contents:
    """What the annotation of a test set holds."""

    samples: Sequence[Sample]
    # What is missing or corrupt: opening is refused, and verifying lists it.
    problems: Sequence[Finding] = ()
    unreadable: Sequence[str] = ()  # Names of the media whose annotation is among the problems
    # images, sounds: Names below ``frames`` and ``audio``, without ending, by sample id; by
    # default the id.
    images: Mapping[str, str] = field(default_factory=dict)
    sounds: Mapping[str, str] = field(default_factory=dict)
    convention: TruthConvention | None = None  # else the definition's


class FolderTestSet(TestSet):
    """Samples with one image ``frames/<name>`` and one sound ``audio/<name>`` each.

    For models of video there may be ``videos/<name>``, whose middle shows the image. Opening one
    reads annotations alone: images, sounds and videos are read when they are asked for.
    """

    def __init__(
        self, definition: FolderDefinition, folder: Path, split: str, contents: Contents
    ) -> None:
        self.name = definition.name
        self.split = split
        self.truth_convention = contents.convention or definition.truth_convention
        self.folder = folder
        self._definition = definition
        self._contents = replace(contents, samples=packed(contents.samples))
        self._unannotated: frozenset[str] = frozenset()
        self._found: dict[tuple[str, str], MediaFiles] = {}
        self.revision = definition.revision_of(self)
        self.declared = definition.declared

    @property
    def samples(self) -> Sequence[Sample]:
        """All samples, in the order of the annotation."""
        return self._contents.samples

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids and truth, whatever the spelling of the annotation file.

        A convention that does not follow from the annotation is part of it.
        """
        digest, convention = truth_digest(self.samples), self.truth_convention
        usual = convention == usual_convention(self.samples)
        return digest if usual else sha256_of_json([digest, convention])

    @property
    def media(self) -> Hashable:
        """The folder: all splits read one file for one id."""
        return str(self.folder.resolve())

    def sound_identity(self, sample_id: str) -> Hashable:
        """The sound's file, which several samples may name."""
        return self.media, self.sound_name(sample_id)

    def silent_pairs(self) -> Sequence[SilentPair]:
        """Pairs of the released list; from then on their images and sounds can be read."""
        definition = self._definition
        if definition.silent_list is None:
            return definition.silent_pairs_of(self.samples) or super().silent_pairs()
        pairs = read_silent_pairs(
            self.folder / definition.silent_list,
            self.samples,
            remedy=definition.remedy,
            group_of=definition.group_of,
        )
        self._unannotated = frozenset(unannotated(pairs, self._rows))
        self._found.clear()
        self.__dict__.pop("_names_below", None)
        return pairs

    def image(self, sample_id: str) -> NDArray[np.uint8]:
        """Image ``(height, width, 3)`` uint8 RGB of one sample or silent pair."""
        return read_image(self.image_file(sample_id))

    def waveform(self, sample_id: str) -> Waveform:
        """Sound of one sample or silent pair."""
        return read_audio(self.sound_file(sample_id))

    def image_file(self, sample_id: str) -> Path:
        """The file of a sample's image; raises DataError where there is none."""
        return self.media_file(FRAMES, self.image_name(sample_id))

    def sound_file(self, sample_id: str) -> Path:
        """The file of a sample's sound; raises DataError where there is none."""
        return self.media_file(AUDIO, self.sound_name(sample_id))

    def require_video(self) -> None:
        """Raise DataError unless there is a folder ``videos``."""
        folders = self._definition.media_folders(self.folder, VIDEOS)
        if not folders[0].is_dir():
            raise DataError(
                f"there is no folder {folders[0].name}/ with a video around each picture",
                code="E_NO_VIDEO",
                where=self.name,
                remedy="make them by 'ssl-bench data prepare --videos', put clips whose middle is "
                f"the moment of the picture into {folders[0]}, named like the pictures, or use a "
                "model that needs no video",
            )

    def frames(self, sample_id: str, video: VideoInput) -> NDArray[np.uint8]:
        """Frames ``(n, height, width, 3)`` uint8 RGB around the middle of a sample's video.

        The picture itself is the middle one, and gives the others their size.
        """
        self.require_video()
        with open_video(self.video_file(sample_id)) as opened:
            return opened.frames(opened.middle, video, self.image(sample_id))

    def video_file(self, sample_id: str) -> Path:
        """The file of a sample's video; raises DataError where there is none."""
        return self.media_file(VIDEOS, self.image_name(sample_id))

    def video_identity(self, sample_id: str) -> Hashable:
        """That of the picture, which the video is named after."""
        return self.image_identity(sample_id)

    def image_name(self, sample_id: str) -> str:
        """Name of an image below ``frames``, without its ending."""
        return self._media_name(sample_id, self._contents.images)

    def sound_name(self, sample_id: str) -> str:
        """Name of a sound below ``audio``, without its ending."""
        return self._media_name(sample_id, self._contents.sounds)

    def media_file(self, kind: str, name: str) -> Path:
        """The file of a kind and a name; raises DataError where there is none.

        Kinds are ``frames``, ``audio`` and ``videos``. Names may be spelled in any way that
        :mod:`ssl_bench.media.names` reads. A folder is looked into once: what is added later is
        found by opening the test set again.
        """
        parent, _, leaf = name.rpartition("/")
        known = self._found.get((kind, parent))
        if known is None:
            known = self._found[kind, parent] = self._media_files(kind, parent)
        return known.require(leaf)

    def folder_name(self, kind: str) -> str:
        """Name of the folder of images (``frames``), sounds (``audio``) or ``videos``."""
        return self._definition.media_folders(self.folder, kind)[0].name

    def _media_files(self, kind: str, parent: str) -> MediaFiles:
        places = [each / parent for each in self._definition.media_folders(self.folder, kind)]
        known = ClipNames({name: video_of(name) for name in self._names_below[kind][parent]})
        return MediaFiles(places, _SUFFIXES[kind], key_of(known), frames=kind == FRAMES)

    @cached_property
    def _names_below(self) -> dict[str, dict[str, list[str]]]:
        """Names of media without their folders, by kind and folder."""
        below: dict[str, dict[str, list[str]]] = {FRAMES: {}, AUDIO: {}}
        ids = [*(sample.id for sample in self.samples), *self._unannotated]
        for kind, name_of in ((FRAMES, self.image_name), (AUDIO, self.sound_name)):
            for name in (*map(name_of, ids), *self._contents.unreadable):
                parent, _, leaf = name.rpartition("/")
                below[kind].setdefault(parent, []).append(leaf)
        return {**below, VIDEOS: below[FRAMES]}

    def _media_name(self, sample_id: str, names: Mapping[str, str]) -> str:
        # Only known ids are looked up, never a path that somebody passed for an id.
        known = sample_id if sample_id in self._unannotated else self[sample_id].id
        return names.get(known, known)


class FolderDefinition(TestSetDefinition):
    """A test set that lies in a folder and has no options.

    Attributes
    ----------
    annotation
        Name of the file or folder without which there is nothing to read.
    description
        How the folder must look and where the official files come from.
    silent_list
        Name of a list of pairs of an image and a sound that nothing in it makes, if there is one.
    revisions
        Names of published annotations by their :func:`truth_digest`.
    declared
        Attributes that a user's own description names.
    """

    annotation: str
    description: str
    silent_list: str | None = None
    revisions: Mapping[str, str] = {}
    declared: tuple[str, ...] = ()

    @abstractmethod
    def read(self, folder: Path, split: str) -> Contents:
        """Read the annotation of one split; raises DataError where it cannot be read at all."""

    def annotation_in(self, folder: Path) -> str:
        """Name of the annotation in a folder, where it has several forms."""
        del folder
        return self.annotation

    def counts(self, samples: Sequence[Sample]) -> str:
        """How much an annotation holds, for the report of ``data verify``."""
        return f"{len(samples):,} samples"

    def notes(self, test_set: FolderTestSet) -> list[Finding]:
        """What else is worth knowing about a readable annotation."""
        del test_set
        return []

    def silent_pairs_of(self, samples: Sequence[Sample]) -> Sequence[SilentPair]:
        """Pairs of an image and a sound that nothing in it makes, where there is no list."""
        del samples
        return ()

    def revision_of(self, test_set: FolderTestSet) -> str | None:
        """Name of the published annotation; None for one that is not known."""
        return self.revisions.get(test_set.digest)

    def media_folders(self, folder: Path, kind: str) -> list[Path]:
        """Where images (``frames``), sounds (``audio``) or ``videos`` lie, the usual first."""
        return [folder / kind]

    def group_of(self, clip: str) -> str:
        """The source of a clip that is not annotated."""
        return clip

    @property
    def remedy(self) -> str:
        """What to do about a file that is missing or corrupt."""
        return f"get the official file; 'ssl-bench data layout {self.name}' says where"

    def open(self, folder: Path | None, split: str, options: Mapping[str, Any]) -> FolderTestSet:
        """Open one split; raises DataError where it is unusable, or an option is given."""
        assert folder is not None  # only embedded test sets have none
        if options:
            raise DataError(
                f"{self.title} has no option {next(iter(options))!r}", code="E_TEST_SET_OPTION"
            )
        contents = self.read(folder, split)
        problems = [
            Problem(f"{each.item}: {each.message}", getattr(each.message, "code", "E_FILE_MISSING"))
            for each in contents.problems
        ]
        refuse(problems, folder, self.remedy)
        return FolderTestSet(self, folder, split, contents)

    def layout(self) -> str:
        """How the folder must look and where the official files come from."""
        videos = self.media_folders(Path(), VIDEOS)[0]
        return (
            f"{self.description.rstrip()}\n\nModels that look at video need {videos}/, too: a clip "
            "around each image, named like it, which its middle shows.\n"
            "'ssl-bench data prepare --videos' makes them.\n"
        )

    def verify(
        self,
        folder: Path | None,
        options: CheckOptions | None = None,
        *,
        videos: bool | None = None,
    ) -> list[Finding]:
        """What is there, what is missing, what is corrupt, by name.

        Images and sounds are checked as the options say; by default all are decoded. So are videos,
        by default where there is a folder of them.
        """
        if folder is None or not folder.is_dir():
            return [Finding("missing", str(folder or self.name), "this folder does not exist")]
        annotation = self.annotation_in(folder)
        if not (folder / annotation).exists():
            return [Finding("missing", annotation, f"no annotation; {self.remedy}")]
        try:
            contents = self.read(folder, self.splits[0])
        except DataError as error:
            return corrupt(annotation, error)
        test_set = FolderTestSet(self, folder, self.splits[0], contents)
        findings = [self.summary(test_set), *contents.problems]
        findings += truth_notes(test_set.samples, test_set.truth_convention)
        findings += self.notes(test_set)
        ids = [sample.id for sample in contents.samples]
        further = list(contents.unreadable)
        if self.silent_list is not None:
            finding, clips = _verify_silent(folder / self.silent_list, test_set, {*ids, *further})
            findings += finding
            further += clips
        images = dict.fromkeys([*map(test_set.image_name, ids), *further])
        sounds = dict.fromkeys([*map(test_set.sound_name, ids), *further])
        kinds: dict[Kind, tuple[str, Iterable[str]]]
        kinds = {"image": (FRAMES, images), "sound": (AUDIO, sounds)}
        if videos or (videos is None and self.media_folders(folder, VIDEOS)[0].is_dir()):
            kinds["video"] = VIDEOS, images
        return [*findings, *_verify_media(test_set, kinds, options or CheckOptions())]

    def summary(self, test_set: FolderTestSet) -> Finding:
        """How much the annotation holds, and whether it is a published one."""
        item, counts = self.annotation_in(test_set.folder), self.counts(test_set.samples)
        if test_set.revision is not None:
            return Finding("ok", item, f"{counts}; revision {test_set.revision}")
        unknown = "not a known revision, results may not compare with published ones"
        return Finding("note", item, f"{counts}; {unknown}")


def usual_convention(samples: Sequence[Sample]) -> TruthConvention:
    """The truth convention that an annotation implies.

    Examples
    --------
    >>> from ssl_bench.testsets.annotations import Boxes
    >>> usual_convention([Sample("a", "a", "dog", Boxes(np.zeros((2, 4)), annotators=3))])
    'consensus'
    """
    drawn = [sample.annotation for sample in samples]
    if drawn and all(isinstance(each, Mask) for each in drawn):
        return "mask"
    several = any(isinstance(each, Boxes) and each.annotators > 1 for each in drawn)
    return "consensus" if several else "union"


def truth_digest(samples: Iterable[Sample]) -> str:
    """SHA-256 over ids and truth of samples, in order.

    Groups and categories are not part of it: they decide intervals, breakdowns and pairs, and
    the pairs show in the trial ids.

    Examples
    --------
    >>> from ssl_bench.testsets.annotations import Boxes
    >>> one = Sample("a", "a", "dog", Boxes(np.array([[0.0, 0.0, 1.0, 1.0]])))
    >>> two = Sample("a", "a", "cat", Boxes(np.array([[-0.0, 0, 1, 1]])))
    >>> truth_digest([one]) == truth_digest([two])
    True
    >>> truth_digest([one]) == truth_digest([one, two])
    False
    """
    return sha256_of_json([[sample.id, *_canonical(sample.annotation)] for sample in samples])


def _canonical(annotation: Annotation | None) -> list[object]:
    if annotation is None:
        return []
    if isinstance(annotation, Mask):
        return [encode_rle(annotation.pixels), *_canonical(annotation.boxes)]
    corners = annotation.corners.astype(np.float64) + 0.0  # -0.0 and 0.0 are one place
    return [corners.tolist(), [float(side) for side in annotation.frame], annotation.annotators]


def truth_notes(samples: Iterable[Sample], convention: TruthConvention) -> list[Finding]:
    """Samples of which no truth pixel is left, or hardly any, and specks of a mask.

    Examples
    --------
    >>> from ssl_bench.testsets.annotations import Boxes
    >>> corner = Boxes(np.array([[0.0, 0.0, 0.01, 0.01]]))
    >>> truth_notes([Sample("a", "a", "dog", corner)], "union")[0].message
    'its truth is 4 of 50,176 pixels'
    """
    findings = []
    for sample in samples:
        drawn = np.count_nonzero(render(sample.annotation, convention, GRID, GRID))
        is_mask = convention == "mask"
        specks = _specks(sample.annotation) if is_mask else []
        if not drawn:
            why = "its mask is empty" if is_mask else "no box has an area"
            message = f"no truth pixel is left ({why}); the sample stays in the list"
        elif drawn < _SPECK * GRID**2:
            message = f"its truth is {drawn} of {GRID**2:,} pixels"
        elif specks:
            message = (
                f"{len(specks)} tiny regions in its mask ({sum(specks)} pixels): stray labels?"
            )
        else:
            continue
        findings.append(Finding("note", sample.id, message))
    return findings


def _specks(annotation: Annotation) -> list[int]:
    """Areas of the small regions of a mask that touch no other."""
    import cv2

    if not isinstance(annotation, Mask):
        return []
    pixels = annotation.pixels
    areas = cv2.connectedComponentsWithStats(pixels.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return [int(area) for area in areas if area < _SPECK * pixels.size]


def _verify_silent(
    path: Path, test_set: FolderTestSet, annotated: Collection[str]
) -> tuple[list[Finding], list[str]]:
    """Findings on a list of pairs, and the clips that it needs beside the annotated ones."""
    if not path.exists():
        message = "not there; needed for the extended protocol only"
        return [Finding("note", path.name, message)], []
    try:
        pairs = test_set.silent_pairs()
    except DataError as error:
        return corrupt(path.name, error), []
    further = unannotated(pairs, annotated)
    message = f"{len(pairs):,} pairs, {len(further):,} of their clips not annotated"
    known = [pair.same_category for pair in pairs if pair.same_category is not None]
    if known:
        message += f"; {sum(known):,} of {len(known):,} pairs of annotated clips share a category"
    return [Finding("ok", path.name, message)], further


def _verify_media(
    test_set: FolderTestSet,
    kinds: Mapping[Kind, tuple[str, Iterable[str]]],
    options: CheckOptions,
) -> list[Finding]:
    """What is missing, corrupt or unusual of each kind, by folder and names, with a summary."""
    wanted = [
        Wanted(name, kind, partial(test_set.media_file, folder, name))
        for kind, (folder, names) in kinds.items()
        for name in names
    ]
    checked = check_media(wanted, options)
    findings: list[Finding] = []
    for kind, (named, _) in kinds.items():
        own = [each for each in checked if each.kind == kind]
        folder = test_set.folder_name(named)
        for each in own:
            item = f"{folder}/{each.item if each.path is None else each.path.name}"
            if each.facts.problem is not None:
                findings.append(problem_of(item, each.facts.problem))
            findings += [Finding("note", item, note) for note in each.facts.notes]
        usable = [each.facts for each in own if each.facts.problem is None]
        message = f"{len(usable):,} of {len(own):,} {kind}s are usable"
        if not options.decode:
            message += " by their headers; nothing was decoded"
        forms = Counter((facts.rate, facts.channels) for facts in usable if facts.rate)
        if forms:
            message += f"; {', '.join(_form(*form, count) for form, count in forms.most_common())}"
        level: Literal["ok", "note"] = "ok" if len(usable) == len(own) else "note"
        findings.append(Finding(level, f"{folder}/", message))
    return findings


def _form(rate: int, channels: int, count: int) -> str:
    return f"{count:,} of {rate:,} Hz {'mono' if channels == 1 else f'and {channels} channels'}"
