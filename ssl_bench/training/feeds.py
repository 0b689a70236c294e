"""Batches of augmented training examples.

A feed holds data and no network, so that it may be used in worker processes. A task with further
needs (several views of a clip, neighbours, truth) overrides :meth:`AudioVisualFeed.batch`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_bench.errors import DataError
from ssl_bench.models.images import ImagePreprocessing, normalize, prepare_images
from ssl_bench.training.augmentation import (
    Augmentation,
    apply_colours,
    apply_crop,
    apply_masks,
    colours_of,
    crops_of,
    sound_changes_of,
)
from ssl_bench.training.sources import AudioVisualSource, ImageSource, LabelledSource

Batch = dict[str, Tensor]
"""Tensors by name, with one row for each example; ``rows (B,)`` int64 are the examples' rows."""


class ImageFeed(ABC):
    """Augmented images.

    Parameters
    ----------
    source
        The images.
    augmentation
        How they are varied.
    preprocessing
        Of whole images; its side is that of the training crops, too.
    seed
        Decides the augmentation.
    """

    def __init__(
        self,
        source: ImageSource,
        augmentation: Augmentation,
        preprocessing: ImagePreprocessing,
        seed: int,
    ) -> None:
        self._images = source
        self._augmentation = augmentation
        self._preprocessing = preprocessing
        self._seed = seed

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ids(self) -> Sequence[str]:
        """Identifier of each example."""
        return self._images.ids

    @property
    def digest(self) -> str:
        """SHA-256 that tells what was read."""
        return self._images.digest

    @property
    def seed(self) -> int:
        """Seed of the augmentation, for whatever else is to be drawn."""
        return self._seed

    @property
    def side(self) -> int:
        """Side of the images of a batch, in pixels."""
        return self._preprocessing.side

    @abstractmethod
    def batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        """What the objective reads of some examples in some pass; depends on nothing else."""

    @abstractmethod
    def whole(self, rows: NDArray[np.int64]) -> Batch:
        """The same of examples without augmentation, as the model will see them in use."""

    def images(
        self,
        rows: NDArray[np.int64],
        epoch: int,
        view: int = 0,
        augmentation: Augmentation | None = None,
    ) -> Tensor:
        """Augmented images ``(B, 3, side, side)`` float32, channels last.

        Parameters
        ----------
        rows
            Rows of the examples: of the batch, of their neighbours, of anything.
        epoch
            The pass, from 0.
        view
            Each view of an image in a pass is drawn on its own.
        augmentation
            Another augmentation than the feed's own.
        """
        chosen = augmentation or self._augmentation
        crops = crops_of(chosen, len(self), self._seed, epoch, view)
        colours = colours_of(chosen, len(self), self._seed, epoch, view)
        pixels = np.empty((len(rows), self.side, self.side, 3), np.uint8)
        for place, row in enumerate(rows):
            cut = apply_crop(self._images.image(int(row)), crops, row, self.side)
            if chosen.colour or chosen.greyscale:
                cut = apply_colours(cut, colours, row)
            pixels[place] = cut
        return _channels_last(normalize(pixels))

    def whole_images(self, rows: NDArray[np.int64]) -> Tensor:
        """Whole images ``(B, 3, side, side)`` float32 as the model's preprocessing gives them."""
        images = [self._images.image(int(row)) for row in rows]
        return _channels_last(prepare_images(images, self._preprocessing))


class AudioVisualFeed(ImageFeed):
    """Augmented images and sounds.

    Parameters are those of :class:`ImageFeed`; the source holds sounds, too.
    """

    def __init__(
        self,
        source: AudioVisualSource,
        augmentation: Augmentation,
        preprocessing: ImagePreprocessing,
        seed: int,
    ) -> None:
        super().__init__(source, augmentation, preprocessing, seed)
        self._source = source

    @property
    def source(self) -> AudioVisualSource:
        """Where images and sounds come from."""
        return self._source

    @property
    def categories(self) -> NDArray[np.int64]:
        """``(N,)`` category of each sound; -1 where several sound, or nothing is known."""
        return self._source.categories

    @property
    def has_truth(self) -> bool:
        """Whether it is known where the examples sound."""
        return self._source.has_truth

    def batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        """``rows (B,)``, ``images (B, 3, side, side)`` and ``sounds (B, C, F, T)``, view 0."""
        return {
            "rows": torch.from_numpy(rows),
            "images": self.images(rows, epoch),
            "sounds": self.sounds(rows, epoch),
        }

    def whole(self, rows: NDArray[np.int64]) -> Batch:
        """The same three without augmentation."""
        return {
            "rows": torch.from_numpy(rows),
            "images": self.whole_images(rows),
            "sounds": self.whole_sounds(rows),
        }

    def sounds(
        self,
        rows: NDArray[np.int64],
        epoch: int,
        view: int = 0,
        augmentation: Augmentation | None = None,
    ) -> Tensor:
        """Augmented sounds ``(B, C, F, T)`` float32; parameters as for :meth:`images`."""
        chosen = augmentation or self._augmentation
        changes = sound_changes_of(chosen, len(self), self._seed, epoch, view)
        tables = []
        for row in rows:
            table = self._source.sound(int(row), float(changes.shift[row]))
            if chosen.time_mask or chosen.frequency_mask:
                table = apply_masks(table, changes, row)
            tables.append(table)
        return self._stacked(tables, rows)

    def whole_sounds(self, rows: NDArray[np.int64]) -> Tensor:
        """Sounds ``(B, C, F, T)`` float32 as the model's front end gives them."""
        return self._stacked([self._source.sound(int(row)) for row in rows], rows)

    def truths(self, rows: NDArray[np.int64], epoch: int, view: int = 0) -> Tensor:
        """Where the examples sound, ``(B, side, side)`` float32 in [0, 1], cut as the images are.

        For supervised objectives only, whose data must be opened with its truth.
        """
        crops = crops_of(self._augmentation, len(self), self._seed, epoch, view)
        cut = [apply_crop(self._source.truth(int(row)), crops, row, self.side) for row in rows]
        return torch.from_numpy(np.stack(cut))

    def whole_truths(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Truth of examples without augmentation, ``(B, h, w)`` float32 in [0, 1]."""
        return np.stack([self._source.truth(int(row)) for row in rows])

    def resized_truths(self, rows: NDArray[np.int64]) -> Tensor:
        """Truth of whole examples at the size of the images, ``(B, side, side)`` float32."""
        truths = self.whole_truths(rows)
        return torch.from_numpy(
            np.stack([cv2.resize(truth, (self.side, self.side)) for truth in truths])
        )

    def _stacked(self, tables: list[NDArray[np.float32]], rows: NDArray[np.int64]) -> Tensor:
        for table, row in zip(tables, rows, strict=True):
            if table.shape != tables[0].shape:
                raise DataError(
                    f"its sound gives {table.shape} values, and that of {self.ids[rows[0]]} "
                    f"{tables[0].shape}",
                    where=self.ids[row],
                    remedy="resample all sounds to one rate",
                )
        return torch.from_numpy(np.stack(tables))


class ObjectFeed(ImageFeed):
    """Augmented pictures of single objects, with their labels.

    Parameters are those of :class:`ImageFeed`; the source holds labels, too.
    """

    def __init__(
        self,
        source: LabelledSource,
        augmentation: Augmentation,
        preprocessing: ImagePreprocessing,
        seed: int,
    ) -> None:
        super().__init__(source, augmentation, preprocessing, seed)
        self._labels = source.labels

    def batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        """``rows (B,)``, ``images (B, 3, side, side)`` and ``labels (B,)`` int64."""
        return self._labelled(rows, self.images(rows, epoch))

    def whole(self, rows: NDArray[np.int64]) -> Batch:
        """The same three without augmentation."""
        return self._labelled(rows, self.whole_images(rows))

    def _labelled(self, rows: NDArray[np.int64], images: Tensor) -> Batch:
        labels = torch.from_numpy(self._labels[rows])
        return {"rows": torch.from_numpy(rows), "images": images, "labels": labels}


def _channels_last(pixels: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(pixels).to(memory_format=torch.channels_last)
