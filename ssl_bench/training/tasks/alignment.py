"""Cross-modal alignment (Senocak et al., 2023)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ssl_bench.errors import DataError
from ssl_bench.models.checkpoints import load_into
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.recipes import checked
from ssl_bench.models.registry import load_recipe
from ssl_bench.models.sslalign import AlignmentArchitecture, AlignmentNetwork
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.embedding_task import EmbeddingSettings, EmbeddingTask, feeds
from ssl_bench.training.feeds import AudioVisualFeed, Batch
from ssl_bench.training.neighbours import (
    Features,
    Neighbours,
    band_statistics,
    find_neighbours,
    read_features,
)
from ssl_bench.training.objectives.alignment import (
    ImageView,
    SoundView,
    alignment_losses,
    localization_similarities,
    semantic_similarities,
)
from ssl_bench.training.positive_views import ALIKE, AUGMENTED, PositiveViewsFeed
from ssl_bench.training.preparation import EmbeddedWorld, Preparation
from ssl_bench.training.task import BATCH_OF_EVALUATION


class Settings(EmbeddingSettings):
    """Hyper-parameters of the objective.

    Attributes
    ----------
    semantic
        Whether whole images are compared with whole sounds (s_A), too; without, the network has no
        projections.
    augmented
        How the varied view of a clip is drawn; False to do without. Clips themselves are varied as
        the recipe says.
    neighbours
        From how many of the most similar clips one is drawn as a further view, by looks and by
        sound; 0 to do without.

    The fields of :class:`~ssl_bench.training.embedding_task.EmbeddingSettings` belong to them, too.
    """

    semantic: bool = True
    augmented: Augmentation | Literal[False] = False
    neighbours: Annotated[int, Field(ge=0)] = 0


class AlignmentTask(EmbeddingTask[AlignmentNetwork, Settings]):
    """Every view of an image shall prefer every view of its own sound.

    Parameters are those of :class:`~ssl_bench.training.embedding_task.EmbeddingTask`. With
    projections in the network, s_A is part of the objective; the feed for training may give further
    views.
    """

    def loss(self, batch: Batch) -> Tensor:
        """Equation 3 on the views that the batch has; negatives are its other examples."""
        return alignment_losses(*self._views(batch), self._settings.tau).mean()

    def similarities(self, batch: Batch) -> Tensor:
        """s_A, or s_L of a network without projections."""
        (images, *_), (sounds, *_) = self._views(batch)
        if images.semantic is None or sounds.semantic is None:
            return localization_similarities(images.places, sounds.whole)
        return semantic_similarities(images.semantic, sounds.semantic)

    def _views(self, batch: Batch) -> tuple[list[ImageView], list[SoundView]]:
        kinds = ["", *(f"_{kind}" for kind in (AUGMENTED, ALIKE) if f"images_{kind}" in batch)]
        # All views in one pass, so that they share the statistics of batch normalisation.
        seen = self.network.encode_whole_images(torch.cat([batch[f"images{k}"] for k in kinds]))
        heard = self.network.encode_sounds(torch.cat([batch[f"sounds{k}"] for k in kinds]))
        count = len(kinds)
        places, whole = seen.places.chunk(count), heard.chunk(count)
        if seen.semantic is None:
            return [ImageView(each) for each in places], [SoundView(each) for each in whole]
        projected = self.network.project_sounds(heard)
        images = zip(places, seen.semantic.chunk(count), strict=True)
        sounds = zip(whole, projected.chunk(count), strict=True)
        return [ImageView(*view) for view in images], [SoundView(*view) for view in sounds]


def prepare(preparation: Preparation) -> AlignmentTask:
    """Build the task as the recipe says.

    Raises
    ------
    DataError
        If clips are to be compared and there are too few, or their features are unusable, or were
        not given with a folder.
    """
    settings = preparation.settings(Settings)
    network = AlignmentNetwork(
        preparation.architecture(AlignmentArchitecture), projected=settings.semantic
    )
    trunk = preparation.start_image_trunk(network.imgnet)
    plain, validation = feeds(preparation)
    training = PositiveViewsFeed(
        plain.source,
        preparation.recipe.augmentation,
        preparation.preprocessing(EmbeddingPreprocessing).image,
        preparation.seed,
        augmented=settings.augmented or None,
        neighbours=_neighbours(preparation, settings.neighbours, plain),
    )
    return AlignmentTask(network, training, validation, settings, image_trunk_sha256=trunk)


def _neighbours(preparation: Preparation, count: int, clips: AudioVisualFeed) -> Neighbours | None:
    files = preparation.neighbours
    if count == 0:
        return None
    if files is not None:
        return find_neighbours(
            read_features(files.images, clips.ids), read_features(files.sounds, clips.ids), count
        )
    if not isinstance(preparation.data, EmbeddedWorld):
        raise DataError(
            "this objective draws clips that look or sound alike, and has nothing to compare "
            "these clips by",
            where=preparation.data.name,
            remedy="give features of any encoders, with --neighbour-images and --neighbour-sounds",
        )
    return find_neighbours(look_of(preparation, clips), sound_of(clips), count)


def look_of(preparation: Preparation, clips: AudioVisualFeed) -> Features:
    """What the object classifier that ships sees in whole images: its pooled last map."""
    prior, checkpoint = preparation.object_classifier()
    architecture = load_recipe(prior).variants[preparation.variant_name].architecture
    network = ClassifierNetwork(checked(ClassifierArchitecture, architecture, prior))
    load_into(network, checkpoint)
    network.eval()
    with torch.inference_mode():
        parts = [network.pooled(clips.whole_images(rows)) for rows in _in_batches(len(clips))]
    return Features(torch.cat(parts).numpy(), checkpoint.sha256)


def sound_of(clips: AudioVisualFeed) -> Features:
    """Mean and deviation of each band of whole sounds: nothing is learned."""
    parts = [band_statistics(clips.whole_sounds(rows).numpy()) for rows in _in_batches(len(clips))]
    return Features(np.concatenate(parts), "mean and deviation of each band")


def _in_batches(count: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return np.array_split(np.arange(count), -(-count // BATCH_OF_EVALUATION))
