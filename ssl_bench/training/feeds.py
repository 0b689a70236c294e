"""Batches of augmented training examples, drawn ahead in worker processes if there are any.

A feed holds data and no network, so that it may be used in worker processes. A task with further
needs, such as several views of a clip, overrides :meth:`Feed.batch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ssl_bench.errors import DataError, SslBenchError
from ssl_bench.models.images import (
    ImagePreprocessing,
    normalize,
    prepare_images,
    resize_image,
)
from ssl_bench.training.augmentation import (
    Augmentation,
    apply_colours,
    apply_crop,
    apply_masks,
    colours_of,
    crops_of,
    sound_changes_of,
)
from ssl_bench.training.data import Needs, Source
from ssl_bench.training.stored_rows import StoredRows

Batch = dict[str, Tensor]
"""Tensors by name, with one row for each example; ``rows (B,)`` int64 are the examples' rows."""

Rows = NDArray[np.int64]

_AUDIO_VISUAL = Needs()


class Feed:
    """Augmented images with what else the objective needs.

    Parameters
    ----------
    source
        The examples.
    augmentation
        How they are varied.
    preprocessing
        Of whole images; its side is that of the training crops, too.
    seed
        Decides the augmentation, and whatever else is drawn.
    needs
        What a batch holds beside images.
    maps
        What a frozen trunk makes of the pictures, which then stand for them; None for pictures.
    """

    def __init__(
        self,
        source: Source,
        augmentation: Augmentation,
        preprocessing: ImagePreprocessing,
        seed: int,
        needs: Needs = _AUDIO_VISUAL,
        maps: StoredRows | None = None,
    ) -> None:
        self.source = source
        self.maps = maps
        # What batches hold of the examples' frames beside maps, by its name there.
        self.motions: dict[str, StoredRows] = {}
        self.seed = seed
        self.augmentation = augmentation
        self.preprocessing = preprocessing
        self._needs = needs
        self._clips: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.source.ids)

    @property
    def digest(self) -> str:
        """SHA-256 of what is read."""
        return self.source.digest

    def batch(self, rows: Rows, epoch: int) -> Batch:
        """What the objective reads of some examples in some pass; depends on nothing else.

        ``rows (B,)`` and ``images (B, 3, side, side)``, or ``frames (B, n, side, side, 3)`` uint8
        RGB, where video is needed; where they are needed, ``sounds
        (B, C, F, T)``, ``truths (B, side, side)`` and ``labels (B,)`` int64. All of view 0.
        """
        batch = self._known(rows) | (
            {"images": self.images(rows, epoch)}
            if self._needs.video is None
            else {"frames": self.frames(rows, epoch)}
        )
        if self._needs.sounds:
            batch["sounds"] = self.sounds(rows, epoch)
        if self._needs.truth:
            batch["truths"] = self.truths(rows, epoch)
        return batch

    def whole(self, rows: Rows) -> Batch:
        """The same of examples without augmentation, as the model will see them in use."""
        batch = self._known(rows) | (
            {"images": self.whole_images(rows)}
            if self._needs.video is None
            else {"frames": torch.from_numpy(np.stack([self._clip(int(row)) for row in rows]))}
        )
        if self._needs.sounds:
            batch["sounds"] = self.whole_sounds(rows)
        if self._needs.truth:
            size = (self.preprocessing.side, self.preprocessing.side)
            truths = [cv2.resize(self.source.truth(int(row)), size) for row in rows]
            batch["truths"] = torch.from_numpy(np.stack(truths))
        return batch

    def images(
        self, rows: Rows, epoch: int, view: int = 0, augmentation: Augmentation | None = None
    ) -> Tensor:
        """Augmented images ``(B, 3, side, side)`` float32, channels last.

        Rows are those of any examples, such as neighbours of the batch. Each view of an image in a
        pass is drawn independently, by the feed's own augmentation or another one.
        """
        chosen = augmentation or self.augmentation
        side = self.preprocessing.side
        if self.maps is not None:
            return self.maps.of(rows)
        crops = crops_of(chosen, len(self), self.seed, epoch, view)
        colours = colours_of(chosen, len(self), self.seed, epoch, view)
        pixels = np.empty((len(rows), side, side, 3), np.uint8)
        for place, row in enumerate(rows):
            image = self.source.image(int(row))
            square_of = image.shape if chosen.crop_square else None
            cut = apply_crop(image, crops, row, side, square_of=square_of)
            if chosen.colour or chosen.greyscale:
                cut = apply_colours(cut, colours, row)
            pixels[place] = cut
        return _channels_last(normalize(pixels))

    def frames(self, rows: Rows, epoch: int) -> Tensor:
        """Augmented frames ``(B, n, side, side, 3)`` uint8 RGB, all of a clip in the same way."""
        side = self.preprocessing.side
        crops = crops_of(self.augmentation, len(self), self.seed, epoch)
        clips = []
        for row in map(int, rows):
            whole = self._clip(row)
            clips.append(np.stack([apply_crop(frame, crops, row, side) for frame in whole]))
        return torch.from_numpy(np.stack(clips))

    def _clip(self, row: int) -> NDArray[np.uint8]:
        """Whole frames as the model's preprocessing gives them; rendering them takes longest."""
        if row not in self._clips:
            frames = [resize_image(each, self.preprocessing) for each in self.source.frames(row)]
            self._clips[row] = np.stack(frames).astype(np.uint8, copy=False)
        return self._clips[row]

    def whole_images(self, rows: Rows) -> Tensor:
        """Whole images ``(B, 3, side, side)`` float32 as the model's preprocessing gives them."""
        if self.maps is not None:
            return self.maps.of(rows)
        images = [self.source.image(int(row)) for row in rows]
        return _channels_last(prepare_images(images, self.preprocessing))

    def sounds(
        self, rows: Rows, epoch: int, view: int = 0, augmentation: Augmentation | None = None
    ) -> Tensor:
        """Augmented sounds ``(B, C, F, T)`` float32; parameters as for :meth:`images`."""
        chosen = augmentation or self.augmentation
        changes = sound_changes_of(chosen, len(self), self.seed, epoch, view)
        tables = []
        for row in rows:
            table = self.source.sound(int(row), float(changes.shift[row]))
            if chosen.time_mask or chosen.frequency_mask:
                table = apply_masks(table, changes, row)
            tables.append(table)
        return self._stacked(tables, rows)

    def whole_sounds(self, rows: Rows) -> Tensor:
        """Sounds ``(B, C, F, T)`` float32 as the model's front end gives them."""
        return self._stacked([self.source.sound(int(row)) for row in rows], rows)

    def truths(self, rows: Rows, epoch: int, view: int = 0) -> Tensor:
        """Where the examples sound, ``(B, side, side)`` float32 in [0, 1], cut as the images are.

        For supervised objectives only, whose data must be opened with their truth.
        """
        crops = crops_of(self.augmentation, len(self), self.seed, epoch, view)
        side = self.preprocessing.side
        cut = []
        for row in map(int, rows):
            square_of = self.source.image(row).shape if self.augmentation.crop_square else None
            cut.append(apply_crop(self.source.truth(row), crops, row, side, square_of=square_of))
        return torch.from_numpy(np.stack(cut))

    def _known(self, rows: Rows) -> Batch:
        batch = {"rows": torch.from_numpy(rows)}
        batch |= {name: kept.of(rows) for name, kept in self.motions.items()}
        if self._needs.labels:
            batch["labels"] = torch.from_numpy(self.source.categories[rows])
        return batch

    def _stacked(self, tables: Sequence[NDArray[np.float32]], rows: Rows) -> Tensor:
        ids = self.source.ids
        for table, row in zip(tables, rows, strict=True):
            if table.shape != tables[0].shape:
                raise DataError(
                    f"its sound gives {table.shape} values, and that of {ids[rows[0]]} "
                    f"{tables[0].shape}",
                    code="E_SOUND_LENGTH",
                    where=ids[row],
                    remedy="resample all sounds to one rate",
                )
        return torch.from_numpy(np.stack(tables))


def _channels_last(pixels: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(pixels).to(memory_format=torch.channels_last)


class _Batches(Dataset[Batch | SslBenchError]):
    def __init__(self, feed: Feed, epoch: int) -> None:
        self._feed = feed
        self._epoch = epoch

    def __getitem__(self, rows: Rows) -> Batch | SslBenchError:
        # An error is handed over as a value: a loader would wrap its text in a traceback.
        try:
            return self._feed.batch(rows, self._epoch)
        except SslBenchError as error:
            return error


def load_batches(
    feed: Feed, epoch: int, parts: Sequence[Rows], *, workers: int = 0, pin: bool = False
) -> Iterator[Batch]:
    """Batches of a pass, of the given rows in order; the same whatever the number of workers.

    With `workers`, that many processes draw batches ahead. `pin` puts tensors into page-locked
    memory, from which a GPU copies fastest. Raises whatever the feed raises.
    """
    if workers == 0:
        for rows in parts:
            yield feed.batch(rows, epoch)
        return
    loader = DataLoader(
        _Batches(feed, epoch),
        batch_size=None,
        sampler=parts,
        num_workers=min(workers, max(1, len(parts))),
        pin_memory=pin,
        # Its own source of randomness: the global one decides the bits of the run.
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, SslBenchError):
            raise batch
        yield batch
