"""Cross-modal alignment (Senocak et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.errors import DataError
from ssl_bench.files import sha256_of_json
from ssl_bench.models.checkpoints import load_into
from ssl_bench.models.object_prior import ClassifierArchitecture, ClassifierNetwork
from ssl_bench.models.recipes import checked
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.sslalign import AlignmentArchitecture, AlignmentNetwork
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.feeds import Batch, Feed, Rows
from ssl_bench.training.neighbours import Features, Neighbours, find_neighbours, read_features
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EVALUATION_BATCH, EmbeddingSettings, EmbeddingTask
from ssl_bench.training.trunk_maps import refuse_varied

_AUGMENTED = "augmented"
_ALIKE = "alike"


class ImageView(NamedTuple):
    """One view of the images of a batch, features of any length.

    `places` ``(B, D, h, w)`` are those of each location, `semantic` ``(B, P)`` are pooled and
    projected; None leaves s_A out.
    """

    places: Tensor
    semantic: Tensor | None = None


class SoundView(NamedTuple):
    """One view of the sounds of a batch, features of any length.

    `whole` is ``(B, D)``, `semantic` ``(B, P)`` the same, projected; None leaves s_A out.
    """

    whole: Tensor
    semantic: Tensor | None = None


def localization_similarities(places: Tensor, sounds: Tensor) -> Tensor:
    r"""Similarity s_L of each image with each sound (paper section 3.1, equation 1, no mask).

    .. math::
        s_L(v, a) = \frac{1}{hw} \sum_{xy}
            \frac{v^{xy} \cdot a}{\lVert v^{xy} \rVert \, \lVert a \rVert}

    Of `places` ``(B, D, h, w)`` and `sounds` ``(A, D)``, normalised here: ``(B, A)`` in [-1, 1].

    Examples
    --------
    >>> image = torch.tensor([[[[2.0, 0.0]], [[0.0, 5.0]]]])  # one image, two locations
    >>> localization_similarities(image, torch.tensor([[3.0, 0.0]]))
    tensor([[0.5000]])
    """
    mean = functional.normalize(places, dim=1).mean(dim=(2, 3))
    return mean @ functional.normalize(sounds, dim=1).T


def semantic_similarities(images: Tensor, sounds: Tensor) -> Tensor:
    r"""Similarity s_A of each image with each sound (paper section 3.1, equation 2).

    .. math::
        s_A(v, a) = \frac{p_v(\operatorname{avg}(v)) \cdot p_a(a)}
            {\lVert p_v(\operatorname{avg}(v)) \rVert \, \lVert p_a(a) \rVert}

    Of projected `images` ``(B, P)`` and `sounds` ``(A, P)``, normalised here: ``(B, A)`` in
    [-1, 1].

    Examples
    --------
    >>> semantic_similarities(torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 7.0], [1.0, 0.0]]))
    tensor([[1., 0.]])
    """
    return functional.normalize(images, dim=1) @ functional.normalize(sounds, dim=1).T


def image_to_sound_losses(similarities: Tensor, tau: float) -> Tensor:
    r"""How little each image prefers its own sound: one of the terms of equation 3.

    .. math:: -\log \frac{e^{s(v_i, a_i) / \tau}}{\sum_j e^{s(v_i, a_j) / \tau}}

    An image chooses among the sounds of the batch; sounds choose no images. Of `similarities`
    ``(B, B)``, a row for each image with its own sound on the diagonal, and a temperature > 0:
    ``(B,)``, >= 0; ``ln B`` where all similarities of a row are equal.

    Examples
    --------
    >>> image_to_sound_losses(torch.zeros(4, 4), 0.07)  # ln 4
    tensor([1.3863, 1.3863, 1.3863, 1.3863])
    """
    own = torch.arange(len(similarities), device=similarities.device)
    return functional.cross_entropy(similarities / tau, own, reduction="none")


def alignment_losses(
    images: Sequence[ImageView], sounds: Sequence[SoundView], tau: float
) -> Tensor:
    r"""Loss of each example, over all pairs of views (paper section 3.3, equation 3).

    .. math::
        L_i = -\sum_{v_i \in V} \sum_{a_i \in A} \left[
            \log \frac{e^{s_L(v_i, a_i) / \tau}}{\sum_j e^{s_L(v_i, a_j) / \tau}} +
            \log \frac{e^{s_A(v_i, a_i) / \tau}}{\sum_j e^{s_A(v_i, a_j) / \tau}} \right]

    With three views of each, these are nine pairs. The sounds :math:`a_j` that an image must not
    prefer are those of the other examples in the same view as its own; the paper leaves
    open which. Row i of each view belongs with row i of all others. The result is ``(B,)``, >= 0;
    the terms of s_A are left out where a view of the pair has no projection.

    Examples
    --------
    >>> views = [ImageView(torch.ones(2, 4, 3, 3), torch.ones(2, 5))] * 3
    >>> sounds = [SoundView(torch.ones(2, 4), torch.ones(2, 5))] * 3
    >>> alignment_losses(views, sounds, 0.07) / 18  # two terms of ln 2 for each of nine pairs
    tensor([0.6931, 0.6931])
    """
    terms = []
    for image in images:
        for sound in sounds:
            by_place = localization_similarities(image.places, sound.whole)
            terms.append(image_to_sound_losses(by_place, tau))
            if image.semantic is not None and sound.semantic is not None:
                whole = semantic_similarities(image.semantic, sound.semantic)
                terms.append(image_to_sound_losses(whole, tau))
    return torch.stack(terms).sum(dim=0)


class Settings(EmbeddingSettings):
    """Hyper-parameters of cross-modal alignment."""

    # Whether whole images are compared with whole sounds (s_A), too; without, the network has no
    # projections.
    semantic: bool = True
    # How the varied view of a clip is drawn; False to do without. Clips themselves are varied as
    # the recipe defines.
    augmented: Augmentation | Literal[False] = False
    # From how many of the most similar clips one is drawn as a further view, by looks and by
    # sound; 0 to do without.
    neighbours: Annotated[int, Field(ge=0)] = 0


class PositiveViewsFeed(Feed):
    """Images and sounds, and further views of them.

    Parameters
    ----------
    plain
        The feed without further views.
    augmented
        How the varied views differ, drawn independently; None to do without.
    neighbours
        Clips that are alike; None to do without.
    """

    def __init__(
        self, plain: Feed, *, augmented: Augmentation | None, neighbours: Neighbours | None
    ) -> None:
        super().__init__(
            plain.source, plain.augmentation, plain.preprocessing, plain.seed, maps=plain.maps
        )
        self._augmented = augmented
        self._neighbours = neighbours

    @property
    def digest(self) -> str:
        """SHA-256 of what is read, and of what clips are compared by."""
        if self._neighbours is None:
            return super().digest
        return sha256_of_json([super().digest, self._neighbours.digest])

    def batch(self, rows: Rows, epoch: int) -> Batch:
        """The clips, and ``images_KIND`` and ``sounds_KIND`` of each kind of view.

        The kinds are ``augmented`` and ``alike``: image and sound of two clips, drawn
        independently.
        """
        batch = super().batch(rows, epoch)
        if self._augmented is not None:
            batch[f"images_{_AUGMENTED}"] = self.images(rows, epoch, 1, self._augmented)
            batch[f"sounds_{_AUGMENTED}"] = self.sounds(rows, epoch, 1, self._augmented)
        if self._neighbours is not None:
            alike = self._neighbours.draw(rows, self.seed, epoch)
            batch[f"images_{_ALIKE}"] = self.images(alike.images, epoch, 2)
            batch[f"sounds_{_ALIKE}"] = self.sounds(alike.sounds, epoch, 2)
        return batch


class AlignmentTask(EmbeddingTask[AlignmentNetwork, Settings]):
    """Every view of an image should prefer every view of its own sound.

    With projections in the network, s_A is part of the objective; the feed for training may give
    further views.
    """

    gathers = True

    def loss(self, batch: Batch) -> Tensor:
        """Equation 3 on the views that the batch has; negatives are its other examples."""
        return alignment_losses(*self._views(batch), self.settings.tau).mean()

    def similarities(self, batch: Batch) -> Tensor:
        """s_A, or s_L of a network without projections."""
        (images, *_), (sounds, *_) = self._views(batch)
        if images.semantic is None or sounds.semantic is None:
            return localization_similarities(images.places, sounds.whole)
        return semantic_similarities(images.semantic, sounds.semantic)

    def _views(self, batch: Batch) -> tuple[list[ImageView], list[SoundView]]:
        kinds = ["", *(f"_{kind}" for kind in (_AUGMENTED, _ALIKE) if f"images_{kind}" in batch)]
        # All views in one pass, so that they share the statistics of batch normalisation.
        encoded = self.network.encode_whole_images(torch.cat([batch[f"images{k}"] for k in kinds]))
        heard = self.network.encode_whole_sounds(torch.cat([batch[f"sounds{k}"] for k in kinds]))
        count = len(kinds)
        places = [self.gather(each) for each in encoded.places.chunk(count)]
        whole = [self.gather(each) for each in heard.whole.chunk(count)]
        if encoded.semantic is None or heard.semantic is None:
            return [ImageView(each) for each in places], [SoundView(each) for each in whole]
        images = zip(places, map(self.gather, encoded.semantic.chunk(count)), strict=True)
        sounds = zip(whole, map(self.gather, heard.semantic.chunk(count)), strict=True)
        return [ImageView(*view) for view in images], [SoundView(*view) for view in sounds]


def prepare(preparation: Preparation) -> AlignmentTask:
    """Build the task of a recipe.

    Raises DataError if clips are to be compared and there are too few, or their features are
    unusable, or were not given with a folder.
    """
    settings = preparation.settings(Settings)
    network = AlignmentNetwork(
        preparation.architecture(AlignmentArchitecture), projected=settings.semantic
    )
    trunk = preparation.start_image_trunk(network.imgnet)
    plain, validation = preparation.embedding_feeds(network.imgnet)
    if plain.maps is not None and settings.augmented:
        refuse_varied(settings.augmented, preparation.recipe_path)
    training = PositiveViewsFeed(
        plain,
        augmented=settings.augmented or None,
        neighbours=neighbours_of(preparation, settings.neighbours, plain),
    )
    return AlignmentTask(network, training, validation, settings, image_trunk_sha256=trunk)


def neighbours_of(preparation: Preparation, count: int, clips: Feed) -> Neighbours | None:
    """Clips that look or sound like each of these, as many as `count` of each; None for 0.

    They are compared by the features that were given, or, in data that are made by code, by the
    looks that the object classifier or the frozen trunk sees and by the bands of their sounds.
    Raises DataError as :func:`prepare` does.
    """
    files, ids = preparation.neighbours, clips.source.ids
    if count == 0:
        return None
    if files is not None:
        return find_neighbours(
            read_features(files.images, ids), read_features(files.sounds, ids), count
        )
    if preparation.data.variant is None:
        raise DataError(
            "this objective draws clips that look or sound alike, and there is nothing to compare "
            "these clips by",
            code="E_NEIGHBOURS_MISSING",
            where=preparation.data.name,
            remedy="give features of any encoders, with --neighbour-images and --neighbour-sounds",
        )
    images = image_features(preparation, clips) if clips.maps is None else trunk_features(clips)
    return find_neighbours(images, sound_features(clips), count)


def image_features(preparation: Preparation, clips: Feed) -> Features:
    """Features of whole images by the object classifier that ships: its pooled last map."""
    prior, checkpoint = preparation.object_classifier()
    architecture = load_baseline(prior).variant(preparation.variant_name).architecture
    network = ClassifierNetwork(checked(ClassifierArchitecture, architecture, prior))
    load_into(network, checkpoint)
    network.eval()
    with torch.inference_mode():
        parts = [network.pooled(clips.whole_images(rows)) for rows in _in_batches(len(clips))]
    return Features(torch.cat(parts).numpy(), checkpoint.sha256)


def trunk_features(clips: Feed) -> Features:
    """Features of whole images by their frozen trunk: its pooled maps."""
    parts = [clips.whole_images(rows).mean(dim=(2, 3)) for rows in _in_batches(len(clips))]
    return Features(torch.cat(parts).numpy(), "the frozen trunk")


def sound_features(clips: Feed) -> Features:
    """Mean and standard deviation over time of each band of whole sounds: nothing is learned.

    Of sounds ``(C, F, T)`` they are ``2 C F`` values: all means, then all deviations.
    """
    parts = []
    for rows in _in_batches(len(clips)):
        sounds = clips.whole_sounds(rows).numpy()
        bands = [sounds.mean(axis=3), sounds.std(axis=3)]
        parts.append(np.concatenate([band.reshape(len(rows), -1) for band in bands], axis=1))
    return Features(np.concatenate(parts), "mean and deviation of each band")


def _in_batches(count: int) -> list[Rows]:
    return np.array_split(np.arange(count), -(-count // EVALUATION_BATCH))
