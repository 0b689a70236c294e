"""What the loop trains: a network, an objective and the data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from ssl_bench.files import sha256_of_json
from ssl_bench.measures.batch import Binarization, evaluate_maps
from ssl_bench.models.embedding_localizer import SOUND_BANK, EmbeddingNetwork
from ssl_bench.schemas import Document
from ssl_bench.training.feeds import Batch, Feed

EVALUATION_BATCH = 100
# Key of the stream of random numbers of the sound bank.
_SOUND_BANK = 2
_UNSORTED_SOUND_BANK = 64

Network = TypeVar("Network", bound=nn.Module)
Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with a factor on the recipe's learning rate, or another weight decay."""

    parameters: Sequence[nn.Parameter]
    learning_rate_factor: float = 1.0
    weight_decay: float | None = None


def own_rows(rows: Tensor) -> Tensor:
    """The rows of this device alone."""
    return rows


class Task(ABC, Generic[Network, Settings]):
    """What is trained. The loop alone moves it between devices, averages gradients and stores it.

    Parameters
    ----------
    network
        Trained in place; brought to the memory layout that is fastest on CPU. Everything with
        parameters that the objective reads and that is stored must be inside it; helpers that are
        not stored (momentum copies) are attributes of the task.
    training_feed, validation_feed
        Batches of the first are drawn in worker processes, if there are any.
    settings
        Hyper-parameters of the objective.
    image_trunk_sha256
        Digest of the weights file that the image trunk started from, as
        :meth:`~ssl_bench.training.preparation.Preparation.start_image_trunk` returns it.

    Attributes
    ----------
    gathers
        Whether the objective brings what it contrasts through `gather`.
    gather
        Rows ``(B, ...)`` of this device, or, as the loop decides, those of all devices.
    noted
        Sum and number of what :meth:`note` was given in this pass, by name.
    """

    gathers: ClassVar[bool] = False
    gather: Callable[[Tensor], Tensor] = staticmethod(own_rows)

    def __init__(
        self,
        network: Network,
        training_feed: Feed,
        validation_feed: Feed,
        settings: Settings,
        *,
        image_trunk_sha256: str | None = None,
    ) -> None:
        self.network = network
        convert_conv2d_weight_memory_format(network, torch.channels_last)
        self.training_feed = training_feed
        self.validation_feed = validation_feed
        self.settings = settings
        self.image_trunk_sha256 = image_trunk_sha256
        self.noted: dict[str, tuple[Tensor | float, int]] = {}

    def note(self, **figures: Tensor) -> None:
        """Figures of one batch, such as the share of pseudo-labels; records give their means."""
        for name, figure in figures.items():
            total, count = self.noted.get(name, (0.0, 0))
            self.noted[name] = (total + figure.detach(), count + 1)

    @property
    def data_digest(self) -> str:
        """SHA-256 of what is read for training and for validation."""
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
        stored. Held-out examples only: test splits are never read.
        """

    def extra_tensors(self) -> Mapping[str, Tensor]:
        """Tensors that are stored with the weights of the trained network; by default none."""
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
        """Put back what :meth:`state` returned."""
        del state

    def whole_batches(self) -> Iterator[Batch]:
        """The validation examples in batches of 100 without augmentation, on the device."""
        count = len(self.validation_feed)
        for start in range(0, count, EVALUATION_BATCH):
            rows = np.arange(start, min(start + EVALUATION_BATCH, count))
            batch = self.validation_feed.whole(rows)
            yield {name: tensor.to(self.device) for name, tensor in batch.items()}


class AudioVisualTask(Task[Network, Settings]):
    """A network of images and sounds that gives a map for each pair.

    A subclass gives the objective and the map, and, where it can, the similarity of all pairs.
    """

    @abstractmethod
    def maps(self, batch: Batch) -> Tensor:
        """Map of each image with its own sound, ``(B, h, w)``, as the localizer gives it."""

    def similarities(self, batch: Batch) -> Tensor | None:
        """Similarity of each image with each sound, ``(B, B)``; None, the default, if unknown."""
        del batch
        return None

    def validation_loss(self, batch: Batch) -> Tensor:
        """Objective on a batch of whole validation examples; by default that of training."""
        return self.loss(batch)

    def validate(self) -> Mapping[str, float]:
        """Objective, and localization where the truth is known, else retrieval.

        ``loss`` is the mean over batches of 100. With truth, ``cIoU@0.5`` and
        ``cIoU(adaptive)@0.5`` are shares of the examples; without it, where similarities are known,
        ``recall(i2a)@1`` and ``recall(a2i)@1`` are those among the examples of a batch.
        """
        source = self.validation_feed.source
        losses: list[float] = []
        maps: list[NDArray[np.float32]] = []
        retrieved: list[NDArray[np.bool_]] = []
        for batch in self.whole_batches():
            losses.append(self.validation_loss(batch).item())
            if source.has_truth:
                maps.append(self.maps(batch).float().cpu().numpy())
            elif (pairs := self.similarities(batch)) is not None:
                own = torch.arange(len(pairs), device=pairs.device)
                right = torch.stack([pairs.argmax(dim=1) == own, pairs.argmax(dim=0) == own])
                retrieved.append(right.cpu().numpy())
        figures = {"loss": float(np.mean(losses))}
        if maps:
            truths = np.stack([source.truth(row) for row in range(len(source.ids))])
            rules = Binarization(rules=("half", "adaptive"))
            [scores] = evaluate_maps(np.concatenate(maps), truths, rules)
            hits = {name: rule["cIoU"] >= 0.5 for name, rule in scores.rules.items()}
            figures["cIoU@0.5"] = float(np.mean(hits["half"]))
            figures["cIoU(adaptive)@0.5"] = float(np.mean(hits["adaptive"]))
        if retrieved:
            shares = np.concatenate(retrieved, axis=1).mean(axis=1)
            figures["recall(i2a)@1"], figures["recall(a2i)@1"] = (float(s) for s in shares)
        return figures


class SoundBankSettings(Document):
    """Hyper-parameters that all objectives on embeddings have."""

    # How many training sounds of each category are stored with the weights, embedded; the model's
    # own audio-blind map is the maximum over them.
    sound_bank_per_category: Annotated[int, Field(ge=1)] = 4


class EmbeddingSettings(SoundBankSettings):
    """Those of objectives with a temperature."""

    tau: Annotated[float, Field(gt=0)]  # Temperature


Embedding = TypeVar("Embedding", bound=EmbeddingNetwork)
Chosen = TypeVar("Chosen", bound=SoundBankSettings)


class EmbeddingTask(AudioVisualTask[Embedding, Chosen]):
    """A network that embeds places and sounds; its map is their product, place by place."""

    _validated: tuple[Batch, tuple[Tensor, Tensor]] | None = None

    def encoded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features ``(B, D, h, w)`` of the images of a batch, and ``(B, D)`` of its sounds.

        Those of the last batch of validation are kept: the objective and the map both read them.
        """
        if self._validated is not None and self._validated[0] is batch:
            return self._validated[1]
        features = self.places(batch), self.network.encode_sounds(batch["sounds"])
        self._validated = (batch, features) if torch.is_inference_mode_enabled() else None
        return features

    def places(self, batch: Batch) -> Tensor:
        """Features ``(B, D, h, w)`` of the images of a batch."""
        return self.network.encode_images(batch["images"])

    def contrasted(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The same, and those of the other devices where these are contrasted too."""
        images, sounds = self.encoded(batch)
        return self.gather(images), self.gather(sounds)

    def maps(self, batch: Batch) -> Tensor:
        """Product of each place with the image's own sound, ``(B, h, w)``."""
        images, sounds = self.encoded(batch)
        return torch.einsum("ndhw,nd->nhw", images, sounds)

    def similarities(self, batch: Batch) -> Tensor:
        """Largest product over places, of each image with each sound, ``(B, B)``."""
        images, sounds = self.encoded(batch)
        return torch.einsum("ndp,md->nmp", images.flatten(2), sounds).amax(dim=2)

    def extra_tensors(self) -> Mapping[str, Tensor]:
        """``sound_bank (n, D)``: some training sounds of each category, embedded."""
        feed, count = self.training_feed, self.settings.sound_bank_per_category
        rows = np.array(choose_sound_bank(feed.source.categories, count, feed.seed), np.int64)
        with torch.inference_mode():
            parts = [
                self.network.encode_sounds(
                    feed.whole_sounds(rows[start : start + EVALUATION_BATCH]).to(self.device)
                )
                for start in range(0, len(rows), EVALUATION_BATCH)
            ]
        return {SOUND_BANK: torch.cat(parts)}


def choose_sound_bank(categories: NDArray[np.int64], per_category: int, seed: int) -> list[int]:
    """Rows of some training sounds of each category: all of them, where there are fewer.

    `categories` ``(N,)`` are negative where several sound; these are left out. If all are negative,
    no category is known, and 64 sounds are taken from all. The seed decides which.

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
