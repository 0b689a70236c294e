"""What the loop trains: EZ-VSL on images with sounds, a classifier on pictures of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from ssl_bench.measures.batch import evaluate_maps
from ssl_bench.models.ezvsl import EZVSLNetwork
from ssl_bench.models.ezvsl_localizer import SOUND_BANK
from ssl_bench.models.images import ImagePreprocessing, normalize, prepare_images
from ssl_bench.models.object_prior import ClassifierNetwork
from ssl_bench.training.augmentation import apply_crops, draw_crops
from ssl_bench.training.data import Objects, Scenes
from ssl_bench.training.objectives import classification_loss, ez_vsl_loss
from ssl_bench.training.recipe import TrainingRecipe

_BATCH_OF_EVALUATION = 100
_AUGMENTATION = 1
_SOUND_BANK = 2


class ContrastiveTask:
    """EZ-VSL on scenes with sounds.

    Parameters
    ----------
    network
        Trained in place; brought to the memory layout that is fastest on CPU.
    training, validation
        Scenes; those for validation carry their truth.
    recipe
        Temperature, augmentation, and size of the sound bank.
    preprocessing
        Of whole images; its side is that of the training crops, too.
    seed
        Decides the augmentation and the sound bank.
    """

    def __init__(
        self,
        network: EZVSLNetwork,
        training: Scenes,
        validation: Scenes,
        recipe: TrainingRecipe,
        preprocessing: ImagePreprocessing,
        seed: int,
    ) -> None:
        self.network = network
        convert_conv2d_weight_memory_format(network, torch.channels_last)
        self._tau = _temperature(recipe)
        self._training = training
        self._validation = validation
        self._pictures = _Pictures(training.images, recipe, preprocessing.side, seed)
        self._validation_images = _whole(validation.images, preprocessing)
        self._sound_bank = choose_sound_bank(
            training.categories, recipe.sound_bank_per_category, seed
        )

    @property
    def ids(self) -> Sequence[str]:
        """Identifier of each training scene."""
        return self._training.ids

    def loss(self, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """Objective on a batch of scenes."""
        images = self._pictures.batch(rows, epoch)
        sounds = torch.from_numpy(self._training.spectrograms[rows]).float()
        return ez_vsl_loss(
            self.network.encode_images(images), self.network.encode_sounds(sounds), self._tau
        )

    def validate(self) -> Mapping[str, float]:
        """Objective and localization on the validation split.

        Returns
        -------
        Mapping
            ``loss`` (in batches of 100); ``cIoU@0.5`` and ``cIoU(adaptive)@0.5``, as shares of the
            scenes.
        """
        images = torch.cat([self.network.encode_images(part) for part in self._parts()])
        sounds = encode_sounds(self.network, self._validation.spectrograms)
        heats = torch.einsum("ndhw,nd->nhw", images, sounds).numpy()
        scores = evaluate_maps(heats, self._validation.truths, rules=("half", "adaptive"))
        losses = [
            ez_vsl_loss(
                images[start : start + _BATCH_OF_EVALUATION],
                sounds[start : start + _BATCH_OF_EVALUATION],
                self._tau,
            ).item()
            for start in range(0, len(images), _BATCH_OF_EVALUATION)
        ]
        return {
            "loss": float(np.mean(losses)),
            "cIoU@0.5": _share_of_successes(scores.rules["half"]["cIoU"]),
            "cIoU(adaptive)@0.5": _share_of_successes(scores.rules["adaptive"]["cIoU"]),
        }

    def companions(self) -> Mapping[str, Tensor]:
        """``sound_bank (n, D)``: some training sounds of each category, embedded."""
        with torch.inference_mode():
            chosen = self._training.spectrograms[self._sound_bank]
            return {SOUND_BANK: encode_sounds(self.network, chosen)}

    def _parts(self) -> Sequence[Tensor]:
        return torch.split(self._validation_images, _BATCH_OF_EVALUATION)


class ClassificationTask:
    """An object classifier on pictures of single objects, without sound.

    Parameters
    ----------
    network
        Trained in place; brought to the memory layout that is fastest on CPU.
    training, validation
        Pictures with labels.
    recipe
        Augmentation.
    preprocessing
        Of whole images; its side is that of the training crops, too.
    seed
        Decides the augmentation.
    """

    def __init__(
        self,
        network: ClassifierNetwork,
        training: Objects,
        validation: Objects,
        recipe: TrainingRecipe,
        preprocessing: ImagePreprocessing,
        seed: int,
    ) -> None:
        self.network = network
        convert_conv2d_weight_memory_format(network, torch.channels_last)
        self._training = training
        self._labels = torch.from_numpy(validation.labels)
        self._pictures = _Pictures(training.images, recipe, preprocessing.side, seed)
        self._validation_images = _whole(validation.images, preprocessing)

    @property
    def ids(self) -> Sequence[str]:
        """Identifier of each training picture."""
        return self._training.ids

    def loss(self, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """Objective on a batch of pictures."""
        logits = self.network(self._pictures.batch(rows, epoch))
        return classification_loss(logits, torch.from_numpy(self._training.labels[rows]))

    def validate(self) -> Mapping[str, float]:
        """Objective and share of right labels on the validation pictures."""
        logits = torch.cat(
            [
                self.network(part)
                for part in torch.split(self._validation_images, _BATCH_OF_EVALUATION)
            ]
        )
        right = logits.argmax(dim=1) == self._labels
        return {
            "loss": classification_loss(logits, self._labels).item(),
            "accuracy": right.float().mean().item(),
        }

    def companions(self) -> Mapping[str, Tensor]:
        """Nothing."""
        return {}


def encode_sounds(network: EZVSLNetwork, spectrograms: NDArray[np.float16]) -> Tensor:
    """Encode any number of spectrograms ``(N, 1, F, T)`` as ``(N, D)``, in parts."""
    parts = torch.split(torch.from_numpy(spectrograms), _BATCH_OF_EVALUATION)
    return torch.cat([network.encode_sounds(part.float()) for part in parts])


def choose_sound_bank(categories: NDArray[np.int64], per_category: int, seed: int) -> list[int]:
    """Rows of some training sounds of each category.

    Parameters
    ----------
    categories
        ``(N,)`` category of each sound; negative where several sound, which are left out.
    per_category
        How many of each category (all of them, where there are fewer).
    seed
        Decides which.

    Examples
    --------
    >>> choose_sound_bank(np.array([1, 0, -1, 0]), 2, seed=0)
    [1, 3, 0]
    """
    generator = np.random.default_rng(np.random.SeedSequence([seed, _SOUND_BANK]))
    chosen: list[int] = []
    for category in np.unique(categories[categories >= 0]):
        rows = generator.permutation(np.flatnonzero(categories == category))
        chosen += sorted(int(row) for row in rows[:per_category])
    return chosen


class _Pictures:
    """Augmented training pictures, drawn anew for each pass over them."""

    def __init__(
        self, images: NDArray[np.uint8], recipe: TrainingRecipe, side: int, seed: int
    ) -> None:
        self._images = images
        self._recipe = recipe
        self._side = side
        self._seed = seed

    def batch(self, rows: NDArray[np.int64], epoch: int) -> Tensor:
        """Pictures ``(B, 3, side, side)``; each depends on seed, epoch and its own row only."""
        crops = draw_crops(
            np.random.default_rng(np.random.SeedSequence([self._seed, _AUGMENTATION, epoch])),
            len(self._images),
            area=self._recipe.crop_area,
            aspect=self._recipe.crop_aspect,
            flip=self._recipe.flip,
        )
        pixels = apply_crops(self._images, rows, crops, self._side)
        return _channels_last(normalize(pixels))


def _whole(images: NDArray[np.uint8], preprocessing: ImagePreprocessing) -> Tensor:
    return _channels_last(prepare_images(list(images), preprocessing))


def _channels_last(pixels: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(pixels).to(memory_format=torch.channels_last)


def _temperature(recipe: TrainingRecipe) -> float:
    if recipe.tau is None:
        raise ValueError("a contrastive recipe has a temperature")
    return recipe.tau


def _share_of_successes(overlaps: NDArray[np.float64]) -> float:
    return float(np.mean(overlaps >= 0.5))
