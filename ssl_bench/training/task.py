"""What the loop trains: a network, an objective and the data, behind a few questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from ssl_bench.files import sha256_of_json
from ssl_bench.measures.batch import Binarization, evaluate_maps
from ssl_bench.training.feeds import AudioVisualFeed, Batch, ImageFeed

BATCH_OF_EVALUATION = 100
_SOUND_BANK = 2
_UNSORTED_SOUND_BANK = 64


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with a learning rate of their own.

    Attributes
    ----------
    parameters
        The parameters.
    learning_rate_factor
        By which the recipe's learning rate is multiplied for them.
    weight_decay
        Another one than the recipe's.
    """

    parameters: Sequence[nn.Parameter]
    learning_rate_factor: float = 1.0
    weight_decay: float | None = None


class Task(ABC):
    """What is trained. The loop alone moves it between devices, averages gradients and stores it.

    Parameters
    ----------
    network
        Trained in place; brought to the memory layout that is fastest on CPU. Everything with
        parameters that the objective reads and that is stored must be inside it; helpers that are
        not stored (momentum copies) are attributes of the task.
    training, validation
        Feeds; batches of the first are drawn in worker processes, if there are any.
    image_trunk_sha256
        Digest of the weights file that the image trunk started from, as
        :meth:`~ssl_bench.training.preparation.Preparation.start_image_trunk` returns it.
    """

    def __init__(
        self,
        network: nn.Module,
        training: ImageFeed,
        validation: ImageFeed,
        *,
        image_trunk_sha256: str | None = None,
    ) -> None:
        self.network = network
        convert_conv2d_weight_memory_format(network, torch.channels_last)
        self.training_feed = training
        self.validation_feed = validation
        self.image_trunk_sha256 = image_trunk_sha256

    @property
    def ids(self) -> Sequence[str]:
        """Identifier of each training example, for messages."""
        return self.training_feed.ids

    @property
    def data_digest(self) -> str:
        """SHA-256 that tells what is read for training and for validation."""
        return sha256_of_json([self.training_feed.digest, self.validation_feed.digest])

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch: a scalar with gradient.

        The batch is on the network's device. Everything random in here must come from torch's own
        generator, which is stored with an unfinished run.
        """

    @abstractmethod
    def validate(self) -> Mapping[str, float]:
        """Figures on the validation split, one of them ``loss``.

        Called in evaluation and inference mode, after each pass and on the weights as they are
        stored. Held-out examples only: test splits are never looked at.
        """

    def companions(self) -> Mapping[str, Tensor]:
        """Further tensors that travel with the weights of the trained network; by default none."""
        return {}

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """Parameters to train; by default all of the network's that take a gradient, alike."""
        trained = [each for each in self.network.parameters() if each.requires_grad]
        return [ParameterGroup(trained)]

    def start_epoch(self, epoch: int) -> None:
        """Called before the first step of each pass (from 0), on the device of the run.

        On resuming within a pass, :meth:`load_state` follows, and decides; on resuming between two,
        it is called before and after.
        """
        del epoch

    def after_step(self) -> None:
        """Called after each step of the optimizer; does nothing by default."""
        return

    def state(self) -> Mapping[str, Any]:
        """What must be stored to resume a run, beside the network: tensors, numbers, texts."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state` gave."""
        del state

    def whole_batches(self) -> Iterator[Batch]:
        """The validation examples in batches of 100 without augmentation, on the device."""
        count = len(self.validation_feed)
        for start in range(0, count, BATCH_OF_EVALUATION):
            rows = np.arange(start, min(start + BATCH_OF_EVALUATION, count))
            batch = self.validation_feed.whole(rows)
            yield {name: tensor.to(self.device) for name, tensor in batch.items()}


class AudioVisualTask(Task):
    """A network of images and sounds that gives a map for each pair.

    A subclass gives the objective and the map, and, where it can, the similarity of all pairs.

    Parameters
    ----------
    network, image_trunk_sha256
        As for :class:`Task`.
    training, validation
        Feeds of images with sounds.
    """

    training_feed: AudioVisualFeed
    validation_feed: AudioVisualFeed

    def __init__(
        self,
        network: nn.Module,
        training: AudioVisualFeed,
        validation: AudioVisualFeed,
        *,
        image_trunk_sha256: str | None = None,
    ) -> None:
        super().__init__(network, training, validation, image_trunk_sha256=image_trunk_sha256)

    @abstractmethod
    def maps(self, batch: Batch) -> Tensor:
        """Map of each image with its own sound, ``(B, h, w)``, as the localizer gives it."""

    def similarities(self, batch: Batch) -> Tensor | None:
        """Similarity of each image with each sound, ``(B, B)``; by default it is not known."""
        del batch
        return None

    def validation_loss(self, batch: Batch) -> Tensor:
        """Objective on a batch of whole validation examples; by default that of training."""
        return self.loss(batch)

    def validate(self) -> Mapping[str, float]:
        """Objective, and localization where the truth is known, else retrieval.

        Returns
        -------
        Mapping
            ``loss`` (mean over batches of 100). With truth, ``cIoU@0.5`` and
            ``cIoU(adaptive)@0.5`` as shares of the examples; without it, where similarities are
            known, ``recall(i2a)@1`` and ``recall(a2i)@1`` among the examples of a batch.
        """
        losses: list[float] = []
        maps: list[NDArray[np.float32]] = []
        truths: list[NDArray[np.float32]] = []
        found: list[NDArray[np.bool_]] = []
        for batch in self.whole_batches():
            losses.append(self.validation_loss(batch).item())
            if self.validation_feed.has_truth:
                maps.append(self.maps(batch).float().cpu().numpy())
                truths.append(self.validation_feed.whole_truths(batch["rows"].cpu().numpy()))
            elif (pairs := self.similarities(batch)) is not None:
                own = torch.arange(len(pairs), device=pairs.device)
                right = torch.stack([pairs.argmax(dim=1) == own, pairs.argmax(dim=0) == own])
                found.append(right.cpu().numpy())
        figures = {"loss": float(np.mean(losses))}
        if maps:
            rules = Binarization(rules=("half", "adaptive"))
            [scores] = evaluate_maps(np.concatenate(maps), np.concatenate(truths), rules)
            figures["cIoU@0.5"] = _share_of_successes(scores.rules["half"]["cIoU"])
            figures["cIoU(adaptive)@0.5"] = _share_of_successes(scores.rules["adaptive"]["cIoU"])
        if found:
            shares = np.concatenate(found, axis=1).mean(axis=1)
            figures["recall(i2a)@1"], figures["recall(a2i)@1"] = (float(s) for s in shares)
        return figures

    def sound_bank(self, encode: Callable[[Tensor], Tensor], per_category: int) -> Tensor:
        """Some training sounds of each category, encoded: ``(n, D)``.

        Parameters
        ----------
        encode
            Turns sounds ``(B, C, F, T)`` into vectors ``(B, D)``.
        per_category
            How many of each category; where no category is known, 64 sounds in all.
        """
        feed = self.training_feed
        rows = np.array(choose_sound_bank(feed.categories, per_category, feed.seed), np.int64)
        with torch.inference_mode():
            parts = [
                encode(feed.whole_sounds(rows[start : start + BATCH_OF_EVALUATION]).to(self.device))
                for start in range(0, len(rows), BATCH_OF_EVALUATION)
            ]
        return torch.cat(parts)


def choose_sound_bank(categories: NDArray[np.int64], per_category: int, seed: int) -> list[int]:
    """Rows of some training sounds of each category.

    Parameters
    ----------
    categories
        ``(N,)`` category of each sound; negative where several sound, which are left out. Where
        all are negative, nothing is known, and 64 sounds are taken from all.
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
    known = np.unique(categories[categories >= 0])
    if len(known) == 0:
        rows = generator.permutation(len(categories))[:_UNSORTED_SOUND_BANK]
        return sorted(int(row) for row in rows)
    chosen: list[int] = []
    for category in known:
        rows = generator.permutation(np.flatnonzero(categories == category))
        chosen += sorted(int(row) for row in rows[:per_category])
    return chosen


def _share_of_successes(overlaps: NDArray[np.float64]) -> float:
    return float(np.mean(overlaps >= 0.5))
