"""Discriminative sounding objects localization (Hu et al., NeurIPS 2020), in two stages.

The first stage learns, from clips with one source, which area sounds, and sorts what is seen there
into clusters, which both trunks then learn to tell apart. The second stage, on all clips, brings
the objects that are seen in the sounding area to what the first stage's network hears. The formulas
are those of the public code for MUSIC, the folder ``music-exp`` of
DTaoo/Discriminative-Sounding-Objects-Localization (7f40207).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.models.dsol import DICTIONARY, MATCHES, DSOLArchitecture, DSOLNetwork
from ssl_bench.models.embedding_localizer import EmbeddingPreprocessing
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch
from ssl_bench.training.objectives.oya import all_negatives, sample_negatives
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import (
    EVALUATION_BATCH,
    EmbeddingTask,
    ParameterGroup,
    SoundBankSettings,
)

# Key of the stream of random numbers of the clusters.
_CLUSTERS = 5
_ITERATIONS = 300

Phase = Literal["matching", "classes", "sounding"]


def correspondence_loss(own: Tensor, others: Tensor, cells: int = 1) -> Tensor:
    r"""How badly a sound's own image is told from others by the largest value of each map.

    .. math::
        L = \tfrac12 \, \overline{-\ln \sigma(\max_p z_p)}
            + \tfrac12 \, \overline{-\ln (1 - \sigma(\max_{p \in c} z^-_p))}

    The first mean is over pairs that belong together, the second over others and the cells c, of
    `cells` by `cells`, of each of their maps. Of logits of own maps ``(B, h, w)`` and of others
    ``(B, n, h, w)``: a scalar >= 0.

    Examples
    --------
    >>> correspondence_loss(torch.zeros(2, 3, 3), torch.zeros(2, 1, 3, 3))  # ln 2
    tensor(0.6931)
    """
    present = functional.softplus(-own.amax(dim=(1, 2))).mean()
    absent = functional.softplus(functional.adaptive_max_pool2d(others, cells)).mean()
    return (present + absent) / 2


def category_loss(objects: Tensor, sounding: Tensor, heard: Tensor) -> Tensor:
    r"""How far the classes of the objects that sound are from those that are heard.

    .. math::
        L = \frac{1}{BK} \sum_{n,k} q_{nk} \ln \frac{q_{nk}}{p_{nk}}, \qquad
        p_{nk} \propto e^{\frac{1}{hw} \sum_p m_{nkp} l_{np}}

    Of maps of objects m ``(B, K, h, w)``, sounding areas l ``(B, h, w)``, and probabilities q ``(B,
    K)`` of what is heard: a scalar >= 0.

    Examples
    --------
    >>> heard = torch.tensor([[0.5, 0.5]])
    >>> category_loss(torch.zeros(1, 2, 3, 3), torch.ones(1, 3, 3), heard)
    tensor(0.)
    """
    seen = torch.einsum("bkhw,bhw->bk", objects, sounding) / sounding[0].numel()
    return (torch.xlogy(heard, heard) - heard * seen.log_softmax(dim=1)).mean()


def dilated(area: Tensor) -> Tensor:
    """An area ``(B, h, w)`` bool with the four neighbours of its cells within the border.

    Cells on the border stay, and spread to none.

    Examples
    --------
    >>> area = torch.zeros(1, 3, 3, dtype=torch.bool)
    >>> area[0, 1, 1] = True
    >>> dilated(area)[0].int().tolist()
    [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    """
    found = area.clone()
    inner = area[:, 1:-1, 1:-1]
    found[:, 2:, 1:-1] |= inner
    found[:, :-2, 1:-1] |= inner
    found[:, 1:-1, 2:] |= inner
    found[:, 1:-1, :-2] |= inner
    return found


class Clusters(NamedTuple):
    """Points sorted into K clusters."""

    centres: NDArray[np.float64]  # ``(K, D)``
    labels: NDArray[np.int64]  # ``(N,)``, of each point


def k_means(
    points: NDArray[np.floating[Any]], count: int, generator: np.random.Generator, tries: int = 10
) -> Clusters:
    """Points ``(N, D)`` in `count` clusters: the best of some runs of Lloyd's algorithm.

    Each run starts from points that are drawn with a probability in proportion to the square of
    their distance from the nearest start so far (k-means++). N is at least `count`.

    Examples
    --------
    >>> points = np.array([[0.0], [10.0], [0.2], [10.2]])
    >>> found = k_means(points, 2, np.random.default_rng(0))
    >>> sorted(found.centres[:, 0].round(1).tolist()), bool(found.labels[0] == found.labels[2])
    ([0.1, 10.1], True)
    """
    table = np.asarray(points, np.float64)
    runs = [_lloyd(table, _starts(table, count, generator)) for _ in range(tries)]
    return min(runs, key=lambda run: float(((table - run.centres[run.labels]) ** 2).sum()))


def _starts(
    points: NDArray[np.float64], count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    chosen = [int(generator.integers(len(points)))]
    nearest = np.full(len(points), np.inf)
    for _ in range(count - 1):
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        total = nearest.sum()
        weights = nearest / total if total > 0 else None
        chosen.append(int(generator.choice(len(points), p=weights)))
    return points[chosen]


def _lloyd(points: NDArray[np.float64], centres: NDArray[np.float64]) -> Clusters:
    labels = np.full(len(points), -1)
    for _ in range(_ITERATIONS):
        squares = (centres**2).sum(axis=1) - 2 * points @ centres.T
        nearest = squares.argmin(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
        members = np.eye(len(centres))[labels]
        sizes = members.sum(axis=0)[:, None]
        # A cluster that nothing is nearest to stays where it is.
        centres = np.where(sizes > 0, members.T @ points / np.maximum(sizes, 1), centres)
    return Clusters(centres, labels.astype(np.int64))


def match_clusters(shares: NDArray[np.float64]) -> NDArray[np.float32]:
    """Which clusters are which categories, ``(categories, K)`` of 0 and 1.

    Every cluster is one category, and every category has a cluster as far as there are enough, so
    that the sum over all matches of `shares` ``(categories, K)``, the share of a category's
    examples that lie in a cluster, is largest.

    Examples
    --------
    >>> match_clusters(np.array([[0.6, 0.1, 0.3], [0.0, 0.9, 0.1]])).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    from scipy.optimize import linear_sum_assignment

    categories, clusters = shares.shape
    spare = max(0, clusters - categories)
    # Clusters that are left over may be of any category.
    rows = np.concatenate([shares, np.repeat(shares.max(axis=0)[None], spare, axis=0)])
    places = np.concatenate([np.arange(categories), np.full(spare, -1)])
    found = np.zeros(shares.shape, np.float32)
    for row, cluster in zip(*linear_sum_assignment(rows, maximize=True), strict=True):
        category = places[row] if places[row] >= 0 else shares[:, cluster].argmax()
        found[category, cluster] = 1
    return found


def NEEDS(settings: Mapping[str, Any]) -> Needs:  # noqa: N802
    """Images with sounds, and what sounds where the first stage takes single sources alone."""
    return Needs(labels=bool(settings.get("labels", True)))


class Settings(SoundBankSettings):
    """Hyper-parameters of DSOL; the defaults are those of the authors' code."""

    # Whether the first stage takes the clips of one known category alone, by which clusters then
    # get their names; without, it takes all clips, and clusters have none.
    labels: bool = True
    # rounds, matching_epochs, class_epochs: How often the first stage matches images with sounds,
    # sorts objects, and learns their clusters; and how many passes it matches and learns each time.
    # All passes that follow are the second stage.
    rounds: Annotated[int, Field(ge=1)] = 1
    matching_epochs: Annotated[int, Field(ge=0)] = 1
    class_epochs: Annotated[int, Field(ge=1)] = 3
    # What the classes are: clusters of objects, whose mean features are the dictionary; or the
    # labels, for which the weights of the classifier of images are (class activation maps).
    classes: Literal["clusters", "labels"] = "clusters"
    # How many other images of the batch each sound is compared with, drawn at random; all of them
    # where there are fewer.
    negatives: Annotated[int, Field(ge=1)] = 1
    mask: Annotated[float, Field(ge=0, lt=1)] = 0.05  # Sounding from which on a place is an object
    gain: Annotated[float, Field(gt=0)] = 5.0  # By which cosines are multiplied at first
    # By which maps of objects are multiplied at first; as torch draws it, with its sign, if None.
    object_scale: float | None = None
    # Factor on the learning rate of the classifiers.
    class_rate: Annotated[float, Field(gt=0)] = 10.0
    # matching_weight, category_weight: Of the two terms of the second stage.
    matching_weight: Annotated[float, Field(ge=0)] = 0.5
    category_weight: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.classes == "labels" and not self.labels:
            raise ValueError("classes are labels: they need labels")
        if self.classes == "clusters" and not self.matching_epochs:
            raise ValueError("clusters are sorted by what matching found: it needs a pass")
        return self

    def phase(self, epoch: int) -> tuple[Phase, bool]:
        """What a pass (from 0) does, and whether it is the first pass that does so in its turn.

        Examples
        --------
        >>> settings = Settings(matching_epochs=1, class_epochs=2)
        >>> [settings.phase(epoch)[0] for epoch in range(4)]
        ['matching', 'classes', 'classes', 'sounding']
        """
        turn = self.matching_epochs + self.class_epochs
        if epoch >= self.rounds * turn:
            return "sounding", epoch == self.rounds * turn
        place = epoch % turn
        if place < self.matching_epochs:
            return "matching", place == 0
        return "classes", place == self.matching_epochs


class DSOLTask(EmbeddingTask[DSOLNetwork, Settings]):
    """Sounding areas, then clusters of what is seen in them, then objects that sound."""

    _epoch = 0
    _targets: Tensor | None = None  # Class of each training example ``(N,)``, negative for none
    _dictionary: Tensor | None = None
    _matches: Tensor | None = None
    _listener: DSOLNetwork | None = None  # The network of the first stage, which stays

    def start_epoch(self, epoch: int) -> None:
        """Sort objects, or keep the first stage's network, where a pass begins with that."""
        self._epoch = epoch
        phase, first = self.settings.phase(epoch)
        if first and phase == "classes":
            if self.settings.classes == "clusters":
                self._sort_objects()
            else:
                self._take_labels()
            for layer in self._classifiers:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        if first and phase == "sounding":
            self._listener = self._frozen()
            if self.settings.classes == "labels":
                self._dictionary = self.network.v_class_layer.weight.detach().clone()

    def loss(self, batch: Batch) -> Tensor:
        """The objective of the pass."""
        phase, _ = self.settings.phase(self._epoch)
        if phase == "classes":
            return self._class_loss(batch)
        if phase == "sounding":
            return self._sounding_loss(batch)
        count = self.settings.negatives
        return self._matching_loss(_single(batch), count)

    def validation_loss(self, batch: Batch) -> Tensor:
        """How badly pairs are told apart, with all other images of the batch, in all passes."""
        return self._matching_loss(_single(batch))

    def maps(self, batch: Batch) -> Tensor:
        """Sounding area of each image with its own sound, ``(B, h, w)``."""
        return self._own(*self.encoded(batch)).sigmoid()

    def similarities(self, batch: Batch) -> Tensor:
        """Largest value of the sounding area of each image with each sound, ``(B, B)``."""
        images, sounds = self.encoded(batch)
        products = torch.einsum("ndp,md->nmp", images.flatten(2), self.network.gain * sounds)
        return products.amax(dim=2).sigmoid()

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """The classifiers at a rate of their own, and the rest."""
        layers = [p for layer in self._classifiers for p in layer.parameters()]
        own = {id(parameter) for parameter in layers}
        rest = [p for p in self.network.parameters() if id(p) not in own]
        return [ParameterGroup(rest), ParameterGroup(layers, self.settings.class_rate)]

    def extra_tensors(self) -> Mapping[str, Tensor]:
        """The sound bank, and the dictionary of objects with the names of its clusters."""
        tables = {DICTIONARY: self._dictionary, MATCHES: self._matches}
        found = {name: table for name, table in tables.items() if table is not None}
        return {**super().extra_tensors(), **found}

    def state(self) -> Mapping[str, Any]:
        """The pass, and what the first stage has made so far."""
        tables = {"targets": self._targets, DICTIONARY: self._dictionary, MATCHES: self._matches}
        listener = None if self._listener is None else dict(self._listener.state_dict())
        return {"epoch": self._epoch, **tables, "listener": listener}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state` returned."""
        self._epoch = int(state["epoch"])
        self._targets, self._dictionary, self._matches = (
            None if state[name] is None else state[name].to(self.device)
            for name in ("targets", DICTIONARY, MATCHES)
        )
        self._listener = None if state["listener"] is None else self._frozen()
        if self._listener is not None:
            self._listener.load_state_dict(state["listener"])

    @property
    def _classifiers(self) -> tuple[nn.Linear, nn.Linear]:
        return self.network.v_class_layer, self.network.a_class_layer

    def _frozen(self) -> DSOLNetwork:
        return copy.deepcopy(self.network).eval().requires_grad_(False)

    def _own(self, images: Tensor, sounds: Tensor) -> Tensor:
        return self.network.gain * torch.einsum("bdhw,bd->bhw", images, sounds)

    def _others(self, images: Tensor, sounds: Tensor, count: int | None = None) -> Tensor:
        """Logits ``(B, n, h, w)`` of each sound on n other images of the batch."""
        batch = len(images)
        if count is None or count >= batch - 1:
            chosen = all_negatives(batch)
        else:
            chosen = sample_negatives(batch, count)
        products = torch.einsum("mdhw,nd->nmhw", images, sounds)
        rows = torch.arange(batch, device=images.device)[:, None]
        return self.network.gain * products[rows, chosen.to(images.device)]

    def _matching_loss(self, batch: Batch, count: int | None = None) -> Tensor:
        images, sounds = self.encoded(batch)
        return correspondence_loss(self._own(images, sounds), self._others(images, sounds, count))

    def _class_loss(self, batch: Batch) -> Tensor:
        assert self._targets is not None
        targets = self._targets[batch["rows"].to(self._targets.device)]
        known = targets >= 0
        if not known.any():
            return self.network.a_class_layer.bias.sum() * 0
        network, wanted = self.network, targets[known]
        seen = network.v_class_layer(network.places(batch["images"][known]).mean(dim=(2, 3)))
        heard = network.a_class_layer(network.hear(batch["sounds"][known]))
        for name, logits in (("image_accuracy", seen), ("sound_accuracy", heard)):
            self.note(**{name: (logits.argmax(dim=1) == wanted).float().mean()})
        return functional.cross_entropy(seen, wanted) + functional.cross_entropy(heard, wanted)

    def _sounding_loss(self, batch: Batch) -> Tensor:
        assert self._listener is not None
        assert self._dictionary is not None
        settings, network = self.settings, self.network
        places = network.places(batch["images"])
        images, sounds = network.embed(places), network.encode_sounds(batch["sounds"])
        own = self._own(images, sounds)
        matching = correspondence_loss(
            own, self._others(images, sounds, settings.negatives), cells=2
        )
        with torch.no_grad():
            listener = self._listener
            heard = listener.a_class_layer(listener.hear(batch["sounds"])).softmax(dim=1)
        category = category_loss(network.objects(places, self._dictionary), own.sigmoid(), heard)
        self.note(matching=matching, category=category)
        return settings.category_weight * category + settings.matching_weight * matching

    def _single_rows(self) -> NDArray[np.int64]:
        """Training examples of one known source, or all of them."""
        categories = self.training_feed.source.categories
        return np.flatnonzero((categories >= 0) | (not self.settings.labels))

    def _take_labels(self) -> None:
        categories = self.training_feed.source.categories
        self._targets = torch.from_numpy(categories).to(self.device)
        names = len(self.network.categories)
        if names:
            self._matches = torch.eye(names, self.network.clusters, device=self.device)

    def _sort_objects(self) -> None:
        """Clusters of what is seen where training examples sound, and what each looks like."""
        rows, feed, count = self._single_rows(), self.training_feed, self.network.clusters
        features = np.concatenate(list(self._object_features(rows)))
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        stream = np.random.SeedSequence([feed.seed, _CLUSTERS, self._epoch])
        found = k_means(features / np.maximum(lengths, 1e-12), count, np.random.default_rng(stream))
        members = np.eye(count)[found.labels]
        sizes = np.maximum(members.sum(axis=0), 1)
        means = (members.T @ features / sizes[:, None]).astype(np.float32)
        targets = np.full(len(feed), -1, np.int64)
        targets[rows] = found.labels
        self._targets = torch.from_numpy(targets).to(self.device)
        self._dictionary = torch.from_numpy(means).to(self.device)
        names = len(self.network.categories)
        if self.settings.labels and names:
            labels = np.eye(names)[feed.source.categories[rows]]
            shares = labels.T @ members / np.maximum(labels.sum(axis=0), 1)[:, None]
            self._matches = torch.from_numpy(match_clusters(shares)).to(self.device)

    def _object_features(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.float64]]:
        """Mean over the image of what is seen in the sounding area, ``(n, C)`` at a time."""
        network = self.network.eval()
        for start in range(0, len(rows), EVALUATION_BATCH):
            batch = self.training_feed.whole(rows[start : start + EVALUATION_BATCH])
            with torch.no_grad():
                places = network.places(batch["images"].to(self.device))
                sounds = network.encode_sounds(batch["sounds"].to(self.device))
                sounding = self._own(network.embed(places), sounds).sigmoid()
                area = dilated(sounding > self.settings.mask)
                objects = (places * area[:, None]).mean(dim=(2, 3))
            yield objects.double().cpu().numpy()


def _single(batch: Batch) -> Batch:
    """The examples of one known source, or all where labels are not read, or too few are known."""
    if "labels" not in batch:
        return batch
    known = batch["labels"] >= 0
    if known.sum() < 2:
        return batch
    return {name: tensor[known] for name, tensor in batch.items()}


def prepare(preparation: Preparation) -> DSOLTask:
    """Build the task of a recipe; clusters have names where the data have those of the recipe."""
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(EmbeddingPreprocessing)
    front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
    needs = NEEDS(preparation.recipe.settings)
    feeds = preparation.feeds(preprocessing.image, front_end, needs=needs)
    plan = preparation.architecture(DSOLArchitecture)
    plan = _fitting(plan, preparation.data.classes, feeds[0].source.categories, settings)
    network = DSOLNetwork(plan)
    trunk = preparation.start_image_trunk(network.visual_net)
    preparation.see_once(network.visual_net, *feeds)
    nn.init.constant_(network.conv_av.weight, settings.gain)
    if settings.object_scale is not None:
        nn.init.constant_(network.obj_conv.weight, settings.object_scale)
        nn.init.zeros_(network.get_parameter("obj_conv.bias"))
    return DSOLTask(network, *feeds, settings, image_trunk_sha256=trunk)


def _fitting(
    plan: DSOLArchitecture,
    classes: tuple[str, ...] | None,
    categories: NDArray[np.int64],
    settings: Settings,
) -> DSOLArchitecture:
    """The plan with as many classes as there are labels to learn, and without names that are not.

    Weights are read with the recipe's names, so data with others, or more, have none.
    """
    changes: dict[str, Any] = {}
    count = max(len(classes or ()), int(categories.max(initial=-1)) + 1)
    if settings.classes == "labels" and count > plan.clusters:
        changes["clusters"] = count
    if count > len(plan.categories) or classes not in (None, plan.categories):
        changes["categories"] = ()
    return plan.model_copy(update=changes)
