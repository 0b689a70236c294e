"""Test sets that lie in a folder of frames and sounds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.files import sha256_of_json
from ssl_bench.media.audio import AUDIO_SUFFIXES, probe_audio, read_audio
from ssl_bench.media.find import find_media, require_media
from ssl_bench.media.image import IMAGE_SUFFIXES, probe_image, read_image
from ssl_bench.media.waveform import Waveform
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Boxes
from ssl_bench.testsets.base import (
    Finding,
    Sample,
    SilentPair,
    TestSet,
    TestSetDefinition,
    corrupt,
)
from ssl_bench.testsets.silent import unannotated
from ssl_bench.testsets.truth import encode_rle

FRAMES = "frames"
AUDIO = "audio"


class FolderTestSet(TestSet):
    """Annotated samples with one image ``frames/<id>`` and one sound ``audio/<id>`` each.

    Opening one reads annotations alone: images and sounds are read when they are asked for.

    Parameters
    ----------
    name, split, truth_convention, revision
        As for :class:`~ssl_bench.testsets.base.TestSet`.
    folder
        The test set's own folder.
    samples
        The samples, in order.
    silent_pairs
        Reads the pairs of an image and a sound that nothing in it makes; None where the test set
        has none. Their images and sounds are found by id, annotated or not.
    """

    def __init__(
        self,
        *,
        name: str,
        split: str,
        truth_convention: TruthConvention,
        revision: str | None,
        folder: Path,
        samples: Iterable[Sample],
        silent_pairs: Callable[[], Sequence[SilentPair]] | None = None,
    ) -> None:
        self.name = name
        self.split = split
        self.truth_convention = truth_convention
        self.revision = revision
        self.folder = folder
        self._samples = tuple(samples)
        self._read_silent_pairs = silent_pairs
        self._unannotated: frozenset[str] = frozenset()

    @property
    def samples(self) -> Sequence[Sample]:
        """All samples, in the order of the annotation."""
        return self._samples

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids and truth, whatever the spelling of the annotation file."""
        return truth_digest(self._samples)

    @property
    def media(self) -> Hashable:
        """The folder: all splits read one file for one id."""
        return str(self.folder.resolve())

    def sound_identity(self, sample_id: str) -> Hashable:
        """The sound's file, which several samples may name."""
        return self.media, self.sound_name(sample_id)

    def silent_pairs(self) -> Sequence[SilentPair]:
        """Pairs of the released list; from then on their images and sounds can be read.

        Raises
        ------
        DataError
            If the test set has none, or their list is missing or unusable.
        """
        if self._read_silent_pairs is None:
            return super().silent_pairs()
        pairs = self._read_silent_pairs()
        self._unannotated = frozenset(unannotated(pairs, self._by_id))
        return pairs

    def image(self, sample_id: str) -> NDArray[np.uint8]:
        """Image ``(height, width, 3)`` uint8 RGB of one sample or silent pair."""
        return read_image(self.image_file(sample_id))

    def waveform(self, sample_id: str) -> Waveform:
        """Sound of one sample or silent pair."""
        return read_audio(self.sound_file(sample_id))

    def image_file(self, sample_id: str) -> Path:
        """The file of a sample's image; raises DataError where there is none."""
        return require_media(self.folder / FRAMES, self.image_name(sample_id), IMAGE_SUFFIXES)

    def sound_file(self, sample_id: str) -> Path:
        """The file of a sample's sound; raises DataError where there is none."""
        return require_media(self.folder / AUDIO, self.sound_name(sample_id), AUDIO_SUFFIXES)

    def image_name(self, sample_id: str) -> str:
        """Name of an image's file, without its ending: the clip's own id.

        It is never a path that somebody passed for an id.
        """
        return sample_id if sample_id in self._unannotated else self[sample_id].id

    def sound_name(self, sample_id: str) -> str:
        """Name of a sound's file, without its ending: by default as that of the image."""
        return self.image_name(sample_id)


class FolderDefinition(TestSetDefinition):
    """A test set that lies in a folder and has no options.

    Attributes
    ----------
    description
        How the folder must look and where the official files come from.
    """

    description: str

    def open(self, folder: Path | None, split: str, options: Mapping[str, Any]) -> TestSet:
        """Open one split; raises DataError where it is unusable, or an option is given."""
        if folder is None:
            raise DataError(f"{self.title} needs a folder", remedy="give --data DIR")
        if options:
            raise DataError(f"{self.title} has no option {next(iter(options))!r}")
        return self.open_folder(folder, split)

    def layout(self) -> str:
        """How the folder must look and where the official files come from."""
        return self.description

    def verify(self, folder: Path | None) -> list[Finding]:
        """What is there, what is missing, what is corrupt, by name."""
        if folder is None or not folder.is_dir():
            return [Finding("missing", str(folder or self.name), "this folder does not exist")]
        return self.verify_folder(folder)

    @abstractmethod
    def open_folder(self, folder: Path, split: str) -> TestSet:
        """Open one split; raises DataError where it is unusable."""

    @abstractmethod
    def verify_folder(self, folder: Path) -> list[Finding]:
        """What is there, what is missing, what is corrupt in a folder that exists."""


def truth_digest(samples: Iterable[Sample]) -> str:
    """SHA-256 over ids and truth of samples, in order.

    Groups and categories are not part of it: they decide intervals, breakdowns and pairs, and
    the pairs show in the trial ids.

    Examples
    --------
    >>> one = Sample("a", "a", "dog", Boxes(np.array([[0.0, 0.0, 1.0, 1.0]])))
    >>> two = Sample("a", "a", "cat", Boxes(np.array([[-0.0, 0, 1, 1]])))
    >>> truth_digest([one]) == truth_digest([two])
    True
    >>> truth_digest([one]) == truth_digest([one, two])
    False
    """
    return sha256_of_json([[sample.id, *_canonical(sample)] for sample in samples])


def _canonical(sample: Sample) -> list[object]:
    annotation = sample.annotation
    if not isinstance(annotation, Boxes):
        boxes = [] if annotation.boxes is None else _canonical_boxes(annotation.boxes)
        return [encode_rle(annotation.pixels), *boxes]
    return _canonical_boxes(annotation)


def _canonical_boxes(boxes: Boxes) -> list[object]:
    corners = boxes.corners.astype(np.float64) + 0.0  # -0.0 and 0.0 are one place
    return [corners.tolist(), [float(side) for side in boxes.frame], boxes.annotators]


def verify_revision(item: str, counts: str, revision: str | None) -> Finding:
    """What an annotation holds, and whether it is a published one.

    Examples
    --------
    >>> verify_revision("a.csv", "2 boxes", "first").message
    '2 boxes; revision first'
    """
    if revision is not None:
        return Finding("ok", item, f"{counts}; revision {revision}")
    unknown = "not a known revision, results may not compare with published ones"
    return Finding("note", item, f"{counts}; {unknown}")


def verify_media(
    folder: Path, identifiers: Sequence[str], sounds: Sequence[str] | None = None
) -> list[Finding]:
    """Look at every image and sound of a test set.

    Images are decoded at reduced size and sounds are opened, so this takes milliseconds per file.

    Parameters
    ----------
    folder
        The test set's own folder.
    identifiers
        The ids whose files are expected.
    sounds
        Names of the sounds without their endings, where they are not the ids.

    Returns
    -------
    list of Finding
        One for each file that is missing or corrupt, then a summary of the images; likewise for
        the sounds.
    """
    heard = identifiers if sounds is None else sounds
    return [
        *_verify_kind(folder / FRAMES, identifiers, "images", IMAGE_SUFFIXES, probe_image),
        *_verify_kind(folder / AUDIO, heard, "sounds", AUDIO_SUFFIXES, probe_audio),
    ]


def _verify_kind(
    folder: Path,
    identifiers: Sequence[str],
    kind: str,
    suffixes: Sequence[str],
    probe: Callable[[Path], object],
) -> list[Finding]:
    findings: list[Finding] = []
    for identifier in identifiers:
        path = find_media(folder, identifier, suffixes)
        if path is None:
            item = f"{folder.name}/{identifier}"
            message = f"no file with one of the endings {', '.join(suffixes)}"
            findings.append(Finding("missing", item, message))
            continue
        try:
            probe(path)
        except DataError as error:
            findings += corrupt(f"{folder.name}/{path.name}", error)
    usable = len(identifiers) - len(findings)
    message = f"{usable:,} of {len(identifiers):,} {kind} are usable"
    findings.append(Finding("note" if findings else "ok", f"{folder.name}/", message))
    return findings
