"""Flickr-SoundNet (Senocak et al. 2018): boxes of three annotators around what sounds.

One XML file per clip. Each ``bbox`` element holds a child that is ignored, then xmin, ymin, xmax
and ymax in 1..256 of a 256 x 256 frame; boxes of all annotators are pooled. The field scores
against the *consensus*: half the number of boxes over a pixel, at most 1.

The published list of 250 test ids holds one that has no annotation (3908875357); the annotated
clip is 3908875350. Some evaluations drop it and score 249 clips; here it is corrected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.files import sha256_of_json
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import (
    UNLABELLED,
    Finding,
    Sample,
    SilentPair,
    TestSet,
    corrupt,
)
from ssl_bench.testsets.folder import FolderDefinition, FolderTestSet, verify_media
from ssl_bench.testsets.listing import read_id_list
from ssl_bench.testsets.silent import read_silent_pairs, verify_silent_pairs

ANNOTATORS = 3
"""Annotators per clip, as the data set's description says; the files do not tell them apart."""

FRAME = (256.0, 256.0)
"""Width and height of the frame in the units of the boxes."""

KNOWN_LISTS = {
    "b44801f0694e5bd88bed774931f02dc6467c81329090af66dbbafad554915754": "250 clips, corrected",
    "38f1aca160d600e058c16cb9ebfdf03b054d8fc29b41272619e0af203b9ec301": "249 clips",
}
"""Lists of test clips in use, by SHA-256 of their sorted ids."""

_WITHOUT_ANNOTATION = "3908875357"
_CORRECTED = "3908875350"

_LIST = "flickr_test.txt"
_SILENT_PAIRS = "flickr_test_plus_silent.csv"
_ANNOTATIONS = "annotations"
_LARGEST_FILE = 1024**2
_INTEGER = re.compile(r"[+-]?\d{1,6}", re.ASCII)
_REMEDY = "get the official files; 'ssl-bench data layout flickr' says where"

_LAYOUT = """\
DATA/flickr/
  flickr_test.txt             the test clips, one id per line
  annotations/<id>.xml        boxes of three annotators, one file per clip
  frames/<id>.jpg             one image per clip (.jpg, .jpeg, .png, .webp, .bmp)
  audio/<id>.wav              one sound per clip (.wav, .flac, .ogg, or a video such as .mp4)
  flickr_test_plus_silent.csv only for flickr-extended: pairs of an image and a sound that
                              nothing in it makes (video,audio,label)

<id> is the number of the Flickr video, such as 10000130166.

Where the files come from
  https://github.com/ardasnck/learning_to_localize_sound_source (Senocak et al. 2018):
  the annotated data set (images, sounds, XML files) is linked from its README; test_list.txt
  is the list. Images and sounds come from Flickr-SoundNet, http://soundnet.csail.mit.edu
  The 250 silent pairs: https://github.com/stoneMo/SLAVC, folder metadata

Which clips
  The published list of 250 holds 3908875357, which has no annotation; the annotated clip is
  3908875350. A list with the wrong id is read with the right one. A list of 249 (without either)
  is used as it is, and 'ssl-bench data verify flickr' says which of them you have.

How to prepare them
  Take the one image of each clip whole, at any size, and its sound uncompressed:
    ffmpeg -i CLIP.mp3 -ac 1 -ar 16000 -c:a pcm_s16le audio/ID.wav

Baselines that neither look nor listen need the list and the XML files alone.
"""


@dataclass(frozen=True)
class ClipAnnotation:
    """What one XML file says.

    Attributes
    ----------
    boxes
        All boxes, in the order of the file.
    others
        Tags that stand among the boxes and are no boxes, each once.
    """

    boxes: Boxes
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipList:
    """The clips of a list.

    Attributes
    ----------
    identifiers
        The ids, in the order of the file, with the wrong id corrected.
    corrected
        True where the file held the wrong id.
    """

    identifiers: tuple[str, ...]
    corrected: bool

    @property
    def revision(self) -> str | None:
        """Name of a list in use; None where this is another one."""
        return KNOWN_LISTS.get(sha256_of_json(sorted(self.identifiers)))


def read_clip_list(path: Path) -> ClipList:
    r"""Read the list of test clips and correct its known wrong id.

    Raises
    ------
    DataError
        If the file is missing, or an id is malformed or listed twice.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "flickr_test.txt"
    >>> _ = path.write_text("10000130166\n3908875357\n")
    >>> read_clip_list(path)
    ClipList(identifiers=('10000130166', '3908875350'), corrected=True)
    """
    identifiers = read_id_list(path, remedy=_REMEDY)
    corrected = _WITHOUT_ANNOTATION in identifiers
    if corrected:
        if _CORRECTED in identifiers:
            identifiers.remove(_WITHOUT_ANNOTATION)
        else:
            identifiers[identifiers.index(_WITHOUT_ANNOTATION)] = _CORRECTED
    return ClipList(tuple(identifiers), corrected)


def read_annotation(path: Path) -> ClipAnnotation:
    """Read the XML file of one clip.

    Parameters
    ----------
    path
        The file. Entities and document types are refused, so that nothing expands or is fetched.

    Raises
    ------
    DataError
        If the file is missing, no XML, or a box is not an ignored child and four integers.
    """
    root = _parse(path)
    corners: list[list[int]] = []
    boxes = [element for element in root.iter() if element.tag == "bbox"]
    for number, box in enumerate(boxes):
        values = [(child.text or "").strip() for child in box][1:]
        if len(values) != 4 or not all(_INTEGER.fullmatch(value) for value in values):
            problem = f"box {number} is not an ignored element and four integers: {values!r:.60}"
            raise DataError(problem, where=path, remedy=_REMEDY)
        corners.append([int(value) for value in values])
    parents = [element for element in root if element.tag != "bbox"]
    others = {str(child.tag): None for parent in parents for child in parent if child.tag != "bbox"}
    array = np.array(corners, dtype=np.float64).reshape(-1, 4)
    return ClipAnnotation(Boxes(array, FRAME, ANNOTATORS), tuple(others))


def _parse(path: Path) -> Element:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise DataError("this file is too large for one clip", where=path, remedy=_REMEDY)
        root: Element = fromstring(path.read_bytes(), forbid_dtd=True)
    except FileNotFoundError:
        raise DataError("this file does not exist", where=path, remedy=_REMEDY) from None
    except DefusedXmlException as error:
        problem = "this file declares a document type or entities, which are refused"
        raise DataError(problem, where=path, remedy=_REMEDY) from error
    except (ParseError, LookupError, ValueError) as error:
        problem = f"this file is not valid XML, or truncated ({error})"
        raise DataError(problem, where=path, remedy=_REMEDY) from error
    except OSError as error:
        problem = f"this file cannot be read ({error.strerror})"
        raise DataError(problem, where=path, remedy=_REMEDY) from error
    return root


class FlickrSoundNet(FolderDefinition):
    """The annotated test clips of Flickr-SoundNet."""

    name = "flickr"
    title = "Flickr-SoundNet"
    splits = ("all",)
    truth_convention: TruthConvention = "consensus"
    description = _LAYOUT

    def open_folder(self, folder: Path, split: str) -> TestSet:
        """Open the test clips; raises AnnotationError with every annotation that is unusable."""
        clips = read_clip_list(folder / _LIST)
        samples: list[Sample] = []
        problems: list[str] = []
        for identifier in clips.identifiers:
            try:
                found = read_annotation(folder / _ANNOTATIONS / f"{identifier}.xml")
            except DataError as error:
                problems.append(f"{identifier}: {error.problem}")
            else:
                samples.append(Sample(identifier, identifier, UNLABELLED, found.boxes))
        if problems:
            raise AnnotationError(problems, where=folder / _ANNOTATIONS, remedy=_REMEDY)
        return FolderTestSet(
            name=self.name,
            split=split,
            truth_convention=self.truth_convention,
            revision=clips.revision,
            folder=folder,
            samples=samples,
            silent_pairs=lambda: _silent_pairs(folder, samples),
        )

    def verify_folder(self, folder: Path) -> list[Finding]:
        """What is there, what is missing, what is corrupt, by name."""
        path = folder / _LIST
        if not path.exists():
            return [Finding("missing", _LIST, f"no list of clips; {_REMEDY}")]
        try:
            clips = read_clip_list(path)
        except DataError as error:
            return corrupt(_LIST, error)
        findings = _verify_list(clips)
        for identifier in clips.identifiers:
            findings += _verify_clip(folder / _ANNOTATIONS, identifier)
        found, others = verify_silent_pairs(
            folder / _SILENT_PAIRS, lambda: _silent_pairs(folder, ()), clips.identifiers
        )
        return [*findings, *found, *verify_media(folder, [*clips.identifiers, *others])]


def _silent_pairs(folder: Path, samples: Sequence[Sample]) -> tuple[SilentPair, ...]:
    return read_silent_pairs(folder / _SILENT_PAIRS, samples, remedy=_REMEDY)


def _verify_list(clips: ClipList) -> list[Finding]:
    count = f"{len(clips.identifiers):,} clips"
    known = clips.revision
    findings = [
        Finding("ok", _LIST, f"{count}; the list of {known}")
        if known
        else Finding("note", _LIST, f"{count}; not a list in use, results may not compare")
    ]
    if clips.corrected:
        message = f"{_WITHOUT_ANNOTATION} has no annotation and is read as {_CORRECTED}"
        findings.append(Finding("note", _LIST, message))
    if _CORRECTED not in clips.identifiers:
        findings.append(Finding("note", _LIST, f"{_CORRECTED} is not listed"))
    return findings


def _verify_clip(folder: Path, identifier: str) -> list[Finding]:
    path = folder / f"{identifier}.xml"
    item = f"{_ANNOTATIONS}/{path.name}"
    if not path.exists():
        return [Finding("missing", item, "no annotation")]
    try:
        found = read_annotation(path)
    except DataError as error:
        return corrupt(item, error)
    corners = found.boxes.corners
    notes = []
    if found.others:
        notes.append(f"elements that are no boxes are ignored: {', '.join(found.others)}")
    if ((corners < 1) | (corners > FRAME[0])).any():
        notes.append("a coordinate lies outside 1..256; it is drawn clipped")
    if not (corners[:, :2] < corners[:, 2:]).all(axis=1).any():
        notes.append("no box has an area; the sample stays in the list and cannot be found")
    return [Finding("note", item, note) for note in notes]


TEST_SET = FlickrSoundNet()
