"""Several views of a clip that all belong together: itself, varied, and clips like it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.files import sha256_of_json
from ssl_bench.models.images import ImagePreprocessing
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.feeds import AudioVisualFeed, Batch
from ssl_bench.training.neighbours import Neighbours
from ssl_bench.training.sources import AudioVisualSource

AUGMENTED = "augmented"
ALIKE = "alike"


class PositiveViewsFeed(AudioVisualFeed):
    """Images and sounds, and further views of them.

    Parameters
    ----------
    source, preprocessing, seed
        As for :class:`~ssl_bench.training.feeds.AudioVisualFeed`.
    augmentation
        How clips, and those that stand for them, are varied.
    augmented
        How the varied views differ, drawn on their own; None for a feed without them.
    neighbours
        Clips that are alike; None for a feed without them.
    """

    def __init__(
        self,
        source: AudioVisualSource,
        augmentation: Augmentation,
        preprocessing: ImagePreprocessing,
        seed: int,
        *,
        augmented: Augmentation | None,
        neighbours: Neighbours | None,
    ) -> None:
        super().__init__(source, augmentation, preprocessing, seed)
        self._augmented = augmented
        self._neighbours = neighbours

    @property
    def digest(self) -> str:
        """SHA-256 that tells what was read, and by what clips were compared."""
        if self._neighbours is None:
            return super().digest
        return sha256_of_json([super().digest, self._neighbours.digest])

    def batch(self, rows: NDArray[np.int64], epoch: int) -> Batch:
        """The clips, and of each kind of view ``images_KIND`` and ``sounds_KIND``.

        The kinds are ``augmented`` and ``alike``. Of the latter, image and sound are those of two
        clips, drawn independently.
        """
        batch = super().batch(rows, epoch)
        if self._augmented is not None:
            batch[f"images_{AUGMENTED}"] = self.images(rows, epoch, 1, self._augmented)
            batch[f"sounds_{AUGMENTED}"] = self.sounds(rows, epoch, 1, self._augmented)
        if self._neighbours is not None:
            alike = self._neighbours.draw(rows, self.seed, epoch)
            batch[f"images_{ALIKE}"] = self.images(alike.images, epoch, 2)
            batch[f"sounds_{ALIKE}"] = self.sounds(alike.sounds, epoch, 2)
        return batch
