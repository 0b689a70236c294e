"""Flickr-SoundNet (Senocak et al. 2018): boxes of three annotators around what sounds.

One XML file per clip. Each ``bbox`` element holds a child that is ignored, then xmin, ymin, xmax
and ymax in 1..256 of a 256 x 256 frame; boxes of all annotators are pooled. The field scores
against the *consensus*: half the number of boxes over a pixel, at most 1. So boxes are counted, not
people: two boxes of one person over a pixel agree.

Three people annotated each published clip. All 2,786 have two boxes at least, because two had to
agree: where there are two, the third person drew none (Oya et al.'s random row comes out with
thirds). So a clip of a single box is by one person, and its truth is plain. Files of one's own may
say how many people there were, by an empty element ``annotator`` below the root for each.

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

from ssl_bench.errors import DataError, Problem, first_few
from ssl_bench.files import sha256_of_json
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.schemas import read_bytes
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import UNLABELLED, Finding, Sample, corrupt
from ssl_bench.testsets.folder import Contents, FolderDefinition, FolderTestSet
from ssl_bench.testsets.identifiers import FieldError
from ssl_bench.testsets.lists import read_id_list
from ssl_bench.testsets.tables import CORNERS, Corners, box_reading, check_box

ANNOTATORS = 3
"""Annotators of each published clip, as the data set's description says."""

FRAME = (256.0, 256.0)
"""Width and height of the frame in the units of the boxes."""

KNOWN_LISTS = {
    "b44801f0694e5bd88bed774931f02dc6467c81329090af66dbbafad554915754": "250 clips, corrected",
    "38f1aca160d600e058c16cb9ebfdf03b054d8fc29b41272619e0af203b9ec301": "249 clips",
}
"""Lists of test clips in use, by SHA-256 of their sorted ids."""

_WITHOUT_ANNOTATION = "3908875357"
_CORRECTED = "3908875350"

_ANNOTATIONS = ("annotations", "Annotations")
_LISTS = ("flickr_test.txt", "test_list.txt")
_ARCHIVE = "Data"
_MAX_BYTES = 1024**2
_MAX_TAG = 40  # characters of a tag that are shown
_INTEGER = re.compile(r"[+-]?\d{1,6}", re.ASCII)
_REMEDY = "get the official files; 'ssl-bench data layout flickr' says where"

_LAYOUT = """\
DATA/flickr/
  flickr_test.txt             the test clips, one id per line (or test_list.txt)
  annotations/<id>.xml        boxes of three annotators, one file per clip (or Annotations/); in
                              files of your own, write <annotator/> below the root for each person
                              who drew
  frames/<id>.jpg             one image per clip (.jpg, .jpeg, .png, .webp, .bmp)
  audio/<id>.wav              one sound per clip (.wav, .flac, .ogg, or a video such as .mp4)
  flickr_test_plus_silent.csv only for flickr-extended: pairs of an image and a sound that
                              nothing in it makes (video,audio,label)

<id> is the number of the Flickr video, such as 10000130166.

Where the files come from
  https://github.com/ardasnck/learning_to_localize_sound_source (Senocak et al. 2018):
  the annotated data set (images, sounds, XML files) is linked from its README; test_list.txt
  is the list. Images and sounds come from Flickr-SoundNet, http://soundnet.csail.mit.edu
  Its archive may stay as it is: images and sounds are found in Data/<number>/ too.
  The 250 silent pairs: https://github.com/stoneMo/SLAVC, folder metadata

Which clips
  The published list of 250 holds 3908875357, which has no annotation; the annotated clip is
  3908875350. A list with the wrong id is read with the right one. A list of 249 (without either)
  is used as it is, and 'ssl-bench data verify flickr' says which of them you have.

How to prepare them
  Take the one image of each clip whole, at any size, and its sound uncompressed:
    ffmpeg -i CLIP.mp3 -ac 1 -ar 16000 -c:a pcm_s16le audio/ID.wav
  At full size oya, and icl's variant flickr, take 22,050 Hz. --resample converts other rates.

Baselines that neither look nor listen need the list and the XML files alone.
"""


@dataclass(frozen=True)
class ClipAnnotation:
    """The boxes of one XML file, in its order, and the other tags among them."""

    boxes: Boxes
    others: tuple[str, ...] = ()


def read_clip_list(path: Path) -> list[str]:
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
    ['10000130166', '3908875350']
    """
    listed = read_id_list(path, remedy=_REMEDY)
    if _CORRECTED in listed:
        return [clip for clip in listed if clip != _WITHOUT_ANNOTATION]
    return [_CORRECTED if clip == _WITHOUT_ANNOTATION else clip for clip in listed]


def read_annotation(path: Path) -> ClipAnnotation:
    """Read the XML file of one clip.

    Entities and document types are refused, so that nothing expands or is fetched.

    Raises
    ------
    DataError
        If the file is missing, not XML, or a box is not an ignored child and four integers, in
        order and in the frame.
    """
    content = read_bytes(path, error=DataError, remedy=_REMEDY, limit=_MAX_BYTES)
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        problem = "this file declares a document type or entities, which are refused"
        raise DataError(problem, code="E_XML_DOCTYPE", where=path, remedy=_REMEDY) from error
    except (ParseError, LookupError, ValueError) as error:
        problem = f"this file is not valid XML, or truncated ({error})"
        raise DataError(problem, code="E_XML", where=path, remedy=_REMEDY) from error
    corners: list[Corners] = []
    for number, box in enumerate(root.iter("bbox")):
        values = [(child.text or "").strip() for child in box][1:]
        inside = [element for child in box[1:] for element in child]
        if len(values) != 4 or inside or not all(map(_INTEGER.fullmatch, values)):
            problem = f"box {number} is not an ignored element and four integers: {values!r:.60}"
            raise DataError(problem, code="E_BOX", where=path, remedy=_REMEDY)
        named = [child.tag for child in box[1:]]
        if named != list(CORNERS) and sorted(named) == sorted(CORNERS):
            problem = f"box {number} has {', '.join(named)}, and the order is {', '.join(CORNERS)}"
            raise DataError(problem, code="E_BOX", where=path, remedy=_REMEDY)
        x0, y0, x1, y1 = map(int, values)
        try:
            corners.append(check_box((x0, y0, x1, y1), 1, FRAME[0]))
        except FieldError as error:
            problem = f"box {number}: {error}"
            raise DataError(problem, code=error.code, where=path, remedy=_REMEDY) from None
    people = sum(element.tag == "annotator" for element in root)
    parents = [element for element in root if element.tag != "bbox"]
    tags = (child.tag[:_MAX_TAG] for parent in parents for child in parent if child.tag != "bbox")
    array = np.array(corners, dtype=np.float64).reshape(-1, 4)
    annotators = people or (1 if len(corners) == 1 else ANNOTATORS)
    return ClipAnnotation(Boxes(array, FRAME, annotators), tuple(dict.fromkeys(tags)))


class FlickrSoundNet(FolderDefinition):
    """The annotated test clips of Flickr-SoundNet."""

    name = "flickr"
    title = "Flickr-SoundNet"
    truth_convention: TruthConvention = "consensus"
    description = _LAYOUT
    annotation = _LISTS[0]
    silent_list = "flickr_test_plus_silent.csv"
    remedy = _REMEDY

    def revision_of(self, test_set: FolderTestSet) -> str | None:
        """Name of the list of clips."""
        return KNOWN_LISTS.get(sha256_of_json(sorted(sample.id for sample in test_set.samples)))

    def read(self, folder: Path, split: str) -> Contents:
        """Read the list and the annotation of each clip."""
        del split
        samples: list[Sample] = []
        problems: list[Finding] = []
        unreadable: list[str] = []
        for clip in read_clip_list(folder / self.annotation_in(folder)):
            path = self._annotation_of(folder, clip)
            try:
                boxes = read_annotation(path).boxes
            except DataError as error:
                problems += corrupt(f"{path.parent.name}/{path.name}", error)
                unreadable.append(clip)
            else:
                samples.append(Sample(clip, clip, UNLABELLED, boxes))
        codes = [getattr(each.message, "code", "") for each in problems]
        reading = box_reading(codes, len(samples) + len(problems))
        if reading:
            problem = Problem(reading, "E_BOX_READING")
            problems.append(Finding("corrupt", f"{_first(folder, _ANNOTATIONS)}/", problem))
        return Contents(samples, problems, unreadable)

    def annotation_in(self, folder: Path) -> str:
        """The list of clips, under either of its names."""
        return _first(folder, _LISTS)

    def media_folders(self, folder: Path, kind: str) -> list[Path]:
        """The folder of that kind, and those of the archive, which hold images and sounds."""
        archive = folder / _ARCHIVE
        parts = (
            sorted(path for path in archive.iterdir() if path.is_dir()) if archive.is_dir() else []
        )
        return [folder / kind, *parts]

    def _annotation_of(self, folder: Path, clip: str) -> Path:
        return folder / _first(folder, _ANNOTATIONS) / f"{clip}.xml"

    def counts(self, samples: Sequence[Sample]) -> str:
        """Clips."""
        return f"{len(samples):,} clips"

    def notes(self, test_set: FolderTestSet) -> list[Finding]:
        """The known wrong id of the list, and what is odd about the boxes of a clip."""
        findings = []
        listed = self.annotation_in(test_set.folder)
        if _WITHOUT_ANNOTATION in read_id_list(test_set.folder / listed, remedy=_REMEDY):
            message = f"{_WITHOUT_ANNOTATION} has no annotation and is read as {_CORRECTED}"
            findings.append(Finding("note", listed, message))
        if all(sample.id != _CORRECTED for sample in test_set.samples):
            findings.append(Finding("note", listed, f"{_CORRECTED} is not listed"))
        for sample in test_set.samples:
            path = self._annotation_of(test_set.folder, sample.id)
            item = f"{path.parent.name}/{path.name}"
            found = read_annotation(path)
            corners = found.boxes.corners
            oddities = {
                f"elements other than bbox are ignored: {first_few(found.others)}": found.others,
                "a coordinate lies outside 1..256; it is drawn clipped": (
                    (corners < 1) | (corners > FRAME[0])
                ).any(),
            }
            findings += [Finding("note", item, text) for text, odd in oddities.items() if odd]
        return findings


def _first(folder: Path, names: Sequence[str]) -> str:
    """The first of the names that exists in a folder; the first where none does."""
    return next((name for name in names if (folder / name).exists()), names[0])


TEST_SET = FlickrSoundNet()
