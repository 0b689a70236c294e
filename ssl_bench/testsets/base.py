"""What a test set is, and how a module of this package declares one.

A test set is an ordered list of samples with an identity. Each module of
:mod:`ssl_bench.testsets` that declares one holds a module-level ``TEST_SET``
(a :class:`TestSetDefinition`), or several in ``TEST_SETS``; they are found by name, so a new test
set is one new file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.displays import Shown
from ssl_bench.errors import AnnotationError, DataError, Problem
from ssl_bench.media.video_input import VideoInput
from ssl_bench.media.waveform import Waveform
from ssl_bench.packed import rows_by_name
from ssl_bench.protocols.conventions import TruthConvention
from ssl_bench.testsets.annotations import Annotation

if TYPE_CHECKING:
    import pandas as pd

UNLABELLED = "unlabelled"
"""The category of a sample whose data set names none."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One annotated item of a test set.

    Attributes
    ----------
    group
        The source video (scene): samples of one group are not independent.
    category, annotation
        What sounds, and its boxes or mask.
    categories
        Every category *capable of sounding* that is visible, sounding or not.
    attributes
        Further facts that a breakdown or a composition may use (JSON-able values).
    sound_of
        Id of the sample whose sound this one shares (frames of one clip); None for its own.
    """

    id: str
    group: str
    category: str
    annotation: Annotation
    categories: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    sound_of: str | None = None

    @property
    def sound(self) -> str:
        """Id under which the sound is known: samples that share a sound have the same.

        Examples
        --------
        >>> from ssl_bench.testsets.annotations import Boxes
        >>> second = Sample("clip_2", "clip", "dog", Boxes(np.zeros((0, 4))), sound_of="clip_1")
        >>> second.sound
        'clip_1'
        """
        return self.id if self.sound_of is None else self.sound_of

    @property
    def audible(self) -> frozenset[str]:
        """Categories whose sound the picture may account for; empty where none is named."""
        return frozenset(self.categories or (self.category,)) - {UNLABELLED}


@dataclass(frozen=True)
class SilentPair:
    """An image with a sound that nothing in it makes.

    Image and sound are named by ids that need not be annotated. Where both clips have one category
    (None: not known), the image may well show what is heard.
    """

    image: str
    audio: str
    group: str  # source video of the image
    category: str = UNLABELLED  # what is heard
    same_category: bool | None = None


class TestSet(Shown):
    """An ordered list of samples, with their images and sounds.

    Examples
    --------
    >>> from ssl_bench.testsets import open_test_set
    >>> world = open_test_set("synth", options={"count": 2})
    >>> world, [sample.id for sample in world]
    (<SynthTestSet synth:standard, 2 samples>, ['standard-000000', 'standard-000001'])
    """

    __test__ = False  # not a pytest class

    name: str
    split: str
    truth_convention: TruthConvention
    revision: str | None  # name of the published annotation; None for one that is not known

    @property
    @abstractmethod
    def samples(self) -> Sequence[Sample]:
        """All samples, in the test set's own order."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 over ids and truth: the identity of what is measured."""

    @abstractmethod
    def image(self, sample_id: str) -> NDArray[np.uint8]:
        """Image ``(height, width, 3)`` uint8 RGB; raises DataError if it cannot be read."""

    @abstractmethod
    def waveform(self, sample_id: str) -> Waveform:
        """Sound of one sample; raises DataError if it cannot be read."""

    def image_file(self, sample_id: str) -> Path | None:
        """The file that a sample's image is read from; None where it is made."""
        del sample_id
        return None

    def sound_file(self, sample_id: str) -> Path | None:
        """The file that a sample's sound is read from; None where it is made."""
        del sample_id
        return None

    def require_video(self) -> None:
        """Raise DataError unless there are frames around pictures; here there are none."""
        raise DataError(
            "this test set has still pictures and no video",
            code="E_NO_VIDEO",
            where=self.name,
            remedy="use a test set with video, such as collage, or a model that needs none",
        )

    def frames(self, sample_id: str, video: VideoInput) -> NDArray[np.uint8]:
        """Frames ``(n, height, width, 3)`` uint8 RGB around one sample's image, the middle one.

        Raises DataError if they cannot be read, or there are none.
        """
        self.require_video()
        raise NotImplementedError(f"{self.name} reads no frames of {sample_id} for {video}")

    def video_file(self, sample_id: str) -> Path | None:
        """The file that a sample's frames are read from; None where they are made."""
        del sample_id
        return None

    @property
    def media(self) -> Hashable:
        """Identity of where images and sounds come from.

        Where it is equal, equal ids have equal images and sounds. Splits of one folder, or of one
        embedded world, share it; unless a test set says so, it shares with no other.
        """
        return self

    def image_identity(self, sample_id: str) -> Hashable:
        """What one sample's image is: equal only where images are, in any split or test set.

        Samples that say by an equal attribute ``image`` that they show one picture share it.
        """
        row = self._rows.get(sample_id)
        picture = None if row is None else self.samples[row].attributes.get("image")
        own = ("own", self.image_name(sample_id))
        return self.media, own if picture is None else ("shared", str(picture))

    def video_identity(self, sample_id: str) -> Hashable:
        """What one sample's frames are; samples of one picture may move in different ways."""
        return self.media, sample_id

    def image_name(self, sample_id: str) -> str:
        """Name under which one sample's image is kept; by default its id."""
        return sample_id

    def sound_identity(self, sample_id: str) -> Hashable:
        """What one sample's sound is: equal only where sounds are, in any split or test set."""
        return self.media, sample_id

    def silent_pairs(self) -> Sequence[SilentPair]:
        """Images with sounds that nothing in them makes; raises DataError if there are none."""
        raise DataError(
            "this test set has no pairs of an image and a sound that nothing in it makes",
            code="E_NO_SILENT_PAIRS",
            where=self.name,
            remedy="use a test set that has them, such as synth, or the protocol negative-audio",
        )

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return rows_by_name(sample.id for sample in self.samples)

    def __getitem__(self, sample_id: str) -> Sample:
        """The sample of that id; raises DataError where there is none."""
        try:
            return self.samples[self._rows[sample_id]]
        except KeyError:
            raise DataError(
                f"no sample has the id {sample_id!r}", code="E_SAMPLE_ID", where=self.name
            ) from None

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    @property
    def headline(self) -> str:
        """Name, split and number of samples, in one line."""
        return f"{self.name}:{self.split}, {len(self):,} samples"

    def to_frame(self) -> pd.DataFrame:
        """One row a sample: id, group, category, sound, and its attributes."""
        import pandas as pd

        return pd.DataFrame(
            {
                "id": sample.id,
                "category": sample.category,
                "group": sample.group,
                "sound": sample.sound,
                **sample.attributes,
            }
            for sample in self.samples
        )


@dataclass(frozen=True)
class Finding:
    """One line of a verification report; a ``note`` is unusual but usable."""

    level: Literal["ok", "note", "missing", "corrupt"]
    item: str  # the file or id concerned
    message: str

    @property
    def code(self) -> str | None:
        """Code of the problem or remark; None for a plain sentence."""
        return getattr(self.message, "code", None)


def corrupt(item: str, error: DataError) -> list[Finding]:
    """One finding for each problem of a file or id that cannot be used, or is missing.

    Examples
    --------
    >>> [each.message for each in corrupt("a.csv", AnnotationError(["one", "two"], where="a.csv"))]
    ['one', 'two']
    """
    if isinstance(error, AnnotationError):
        return [Finding("corrupt", item, problem) for problem in error.problems]
    return [problem_of(item, Problem(error.problem, error.code))]


def problem_of(item: str, problem: Problem) -> Finding:
    """The finding that a file or id is missing, or cannot be used."""
    return Finding("missing" if problem.code == "E_FILE_MISSING" else "corrupt", item, problem)


class TestSetDefinition(ABC):
    """How to open, describe and verify one test set."""

    __test__ = False  # not a pytest class

    name: str  # in protocols and on the command line
    title: str
    splits: tuple[str, ...] = ("all",)  # the first is the default
    embedded: bool = False  # made by code, without a folder
    installed: bool = False  # without a folder of its own, it lies where packages put it
    truth_convention: TruthConvention = "union"

    @abstractmethod
    def open(self, folder: Path | None, split: str, options: Mapping[str, Any]) -> TestSet:
        """Open one split in the test set's own folder; None if embedded or installed elsewhere.

        Options are further settings of the protocol's table ``test_set``, such as ``count``.
        """

    @abstractmethod
    def layout(self) -> str:
        """How the folder must look and where the official files come from, as text."""

    @abstractmethod
    def verify(self, folder: Path | None) -> list[Finding]:
        """What is there, what is missing, what is corrupt, by name. Never raises for bad data."""
