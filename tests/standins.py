"""Small test sets in memory, and protocols for them, for tests that need no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.files import sha256_of_json
from ssl_bench.media.waveform import Waveform
from ssl_bench.predictions import PredictionsMeta, save_predictions
from ssl_bench.protocols.conventions import MapTable, TruthConvention
from ssl_bench.protocols.protocol import CompositionTable, ControlsTable, Protocol, TestSetTable
from ssl_bench.testsets.annotations import Annotation, Boxes, Mask
from ssl_bench.testsets.base import Sample, TestSet
from ssl_bench.testsets.folder import Contents, FolderDefinition, FolderTestSet
from ssl_bench.trials.compositions import compose
from ssl_bench.trials.recipes import WHOLE, AudioRecipe, ImageRecipe, Placement, Target
from ssl_bench.trials.trial import Trial
from ssl_bench.trials.trial_set import TrialSet

Picture = Callable[[str], NDArray[np.uint8]]


class MemoryTestSet(TestSet):
    """Samples at hand; by default each has a picture and a sound of noise that its id chooses."""

    name = "memory"
    split = "all"
    revision = None

    def __init__(
        self,
        samples: Sequence[Sample],
        convention: TruthConvention = "union",
        picture: Picture | None = None,
    ) -> None:
        self._samples = tuple(samples)
        self.truth_convention = convention
        self._picture = picture or noise_picture

    @property
    def samples(self) -> Sequence[Sample]:
        return self._samples

    @property
    def digest(self) -> str:
        return sha256_of_json([sample.id for sample in self._samples])

    def image(self, sample_id: str) -> NDArray[np.uint8]:
        return self._picture(self[sample_id].id)

    def waveform(self, sample_id: str) -> Waveform:
        noise = _generator(self[sample_id].id).integers(-3000, 3000, (80, 1))
        return Waveform(noise.astype(np.int16), 8000)


class InventedFolder(FolderDefinition):
    """A folder without an annotation of its own: the samples are given."""

    name = "invented"
    title = "invented"
    annotation = "annotation"
    description = ""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def read(self, folder: Path, split: str) -> Contents:
        return Contents(self._samples)


def folder_test_set(samples: Sequence[Sample], folder: Path) -> FolderTestSet:
    """Samples whose images and sounds lie in a folder."""
    return InventedFolder(samples).open(folder, "all", {})


def _generator(identifier: str) -> np.random.Generator:
    return np.random.default_rng(list(identifier.encode()))


def noise_picture(identifier: str, height: int = 12, width: int = 16) -> NDArray[np.uint8]:
    return _generator(identifier).integers(0, 256, (height, width, 3), dtype=np.uint8)


def boxes(*corners: Sequence[float], annotators: int = 1) -> Boxes:
    """Boxes in relative coordinates."""
    return Boxes(np.array(corners, np.float64).reshape(-1, 4), annotators=annotators)


def mask(pixels: Any) -> Mask:
    return Mask(np.array(pixels, np.bool_))


def sample(
    identifier: str,
    annotation: Annotation | None = None,
    *,
    group: str | None = None,
    category: str = "dog",
    categories: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> Sample:
    """A sample in a group of its own, with a box around the left half."""
    return Sample(
        id=identifier,
        group=f"video of {identifier}" if group is None else group,
        category=category,
        annotation=boxes((0, 0, 0.5, 1)) if annotation is None else annotation,
        categories=tuple(categories),
        attributes=attributes or {},
    )


def protocol(kind: str = "single", *, size: int = 8, **changes: Any) -> Protocol:
    """A protocol on the test set in memory, with a small grid and no controls."""
    fields: dict[str, Any] = {
        "name": "handmade",
        "title": "Handmade",
        "version": 1,
        "source": "these tests",
        "answers": "retrieval" if kind == "retrieval" else "maps",
        "test_set": TestSetTable(name="memory"),
        "composition": CompositionTable(kind=kind),
        "map": MapTable(size=size),
        "measures": ("cIoU@0.5", "AUC"),
        "controls": ControlsTable(floors=(), ceiling=False, vision_only=False),
    }
    return Protocol(**{**fields, **changes})


def trial(identifier: str, target: str = "a", placement: Placement = WHOLE) -> Trial:
    """A trial on one sample's picture and sound, of which it all is the target."""
    return Trial(
        id=identifier,
        image=ImageRecipe(((target, placement),)),
        audio=AudioRecipe.of(target),
        targets=(Target(target, placement),),
        group="g",
        category="dog",
    )


def trials_of(
    samples: Sequence[Sample],
    kind: str = "single",
    *,
    convention: TruthConvention = "union",
    **changes: Any,
) -> TrialSet:
    """The trials of a handmade protocol on samples in memory."""
    return compose(protocol(kind, **changes), MemoryTestSet(samples, convention))


def predictions_of(
    trials: TrialSet,
    maps: NDArray[Any],
    path: Path,
    ids: Sequence[str] | None = None,
    **changed: Any,
) -> Path:
    """A complete predictions file with a map for each trial, or for those of `ids`."""
    facts = {
        "protocol": trials.protocol.label,
        "protocol_digest": trials.protocol.digest,
        "test_set": trials.test_set.name,
        "test_set_digest": trials.test_set.digest,
        "model": "handmade",
        "complete": True,
    }
    meta = PredictionsMeta.model_validate({**facts, **changed})
    save_predictions(path, trials.ids if ids is None else list(ids), maps, meta)
    return path
