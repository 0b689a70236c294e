"""Iterative contrastive learning (Lin et al., 2021)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ssl_bench.models.icl import ICLArchitecture, ICLNetwork
from ssl_bench.training.feeds import Batch
from ssl_bench.training.preparation import Preparation
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask


class PseudoLabels(NamedTuple):
    """What the model of the previous epoch predicts for a batch."""

    # sounding, silent: ``(B, h, w)`` bool, cells whose response is above the threshold, or below
    # it (equations 4 and 5).
    sounding: Tensor
    silent: Tensor
    # ``(B, B)`` bool, whether image i belongs with sound j, too (equation 6): symmetric, and true
    # on the diagonal.
    related: Tensor


def mean_unit_features(image_features: Tensor) -> Tensor:
    r"""The paper's operator :math:`\phi`: unit length at each location, then the mean over them.

    Of ``(B, D, h, w)`` float: ``(B, D)``, of length at most 1.

    Examples
    --------
    >>> image = torch.tensor([[[[2.0, 0.0]], [[0.0, 5.0]]]])  # one image, two locations
    >>> mean_unit_features(image)
    tensor([[0.5000, 0.5000]])
    """
    return functional.normalize(image_features, dim=1).mean(dim=(2, 3))


def initial_loss(image_features: Tensor, audio_features: Tensor, tau: float) -> Tensor:
    r"""Contrastive objective of the initial stage (paper section 3.2, equation 3).

    .. math::
        L = -\frac{1}{B} \sum_i \log
            \frac{e^{\phi(V_i) \cdot a_i / \tau}}{\sum_j e^{\phi(V_i) \cdot a_j / \tau}}

    An image chooses among the sounds of the batch; sounds choose no images. Of `image_features`
    ``(B, D, h, w)`` and `audio_features` ``(B, D)``, row by row and normalised here, and a
    temperature > 0: a scalar >= 0; ``ln B`` where all features are equal.

    Examples
    --------
    >>> same = torch.ones(4, 8, 7, 7)
    >>> f"{initial_loss(same, torch.ones(4, 8), 0.1).item():.4f}"  # ln 4
    '1.3863'
    """
    logits = _logits(mean_unit_features(image_features), audio_features, tau)
    return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def response_map(image_features: Tensor, audio_features: Tensor) -> Tensor:
    r"""Response of each location to the image's own sound, min-max normalised (equation 1).

    .. math:: R = V * a, \qquad R \leftarrow \frac{R - \min R}{\max R - \min R}

    Of `image_features` ``(B, D, h, w)`` and `audio_features` ``(B, D)``, normalised here, which
    equation 1 leaves open: ``(B, h, w)`` in [0, 1]; a map that is constant stays as it is.

    Examples
    --------
    >>> image = torch.tensor([[[[1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0]]]])
    >>> response_map(image, torch.tensor([[1.0, 0.0]]))
    tensor([[[1.0000, 0.0000, 0.7071]]])
    """
    responses = torch.einsum(
        "bdhw,bd->bhw",
        functional.normalize(image_features, dim=1),
        functional.normalize(audio_features, dim=1),
    )
    lowest = responses.amin(dim=(1, 2), keepdim=True)
    spread = responses.amax(dim=(1, 2), keepdim=True) - lowest
    scaled = (responses - lowest) / torch.where(spread > 0, spread, 1)
    return torch.where(spread > 0, scaled, responses)


def pseudo_labels(
    image_features: Tensor, audio_features: Tensor, *, delta_v: float, delta_a: float
) -> PseudoLabels:
    r"""Pseudo-labels from the features of the previous epoch's model (section 3.2).

    .. math::
        x_i^{pos} = \{\tilde R_i > \delta_v\}, \qquad x_i^{neg} = \{\tilde R_i < \delta_v\}, \qquad
        y_{ij} = [\langle \tilde a_i, \tilde a_j \rangle \ge \delta_a]

    Equations 4 to 6; the responses are those of :func:`response_map`. All cells of a region are
    taken, where the paper draws some of them at random.

    Features ``(B, D, h, w)`` and ``(B, D)`` are those of the previous epoch's model. `delta_v` is
    the threshold of the responses and `delta_a` that of the cosine of two sounds, both in [0, 1]:
    from there on they are related. Too low a value relates everything, and nothing is left to tell
    apart.

    Examples
    --------
    >>> image = torch.tensor([[[[1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0]]]])
    >>> labels = pseudo_labels(image, torch.tensor([[1.0, 0.0]]), delta_v=0.5, delta_a=0.9)
    >>> labels.sounding.tolist(), labels.silent.tolist(), labels.related.tolist()
    ([[[True, False, True]]], [[[False, True, False]]], [[True]])
    """
    responses = response_map(image_features, audio_features)
    unit = functional.normalize(audio_features, dim=1)
    alike = unit @ unit.T >= delta_a
    # Rounding may tip the two orders of a pair to different sides, and a sound off its own.
    own = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return PseudoLabels(
        sounding=responses > delta_v, silent=responses < delta_v, related=alike | alike.T | own
    )


def iterative_loss(
    image_features: Tensor,
    audio_features: Tensor,
    labels: PseudoLabels,
    tau: float,
    *,
    intra: bool = True,
    inter: bool = True,
) -> Tensor:
    r"""Contrastive objective of the iterations, >= 0 (paper section 3.2, equation 7).

    .. math::
        L = -\frac{1}{B} \sum_i \log \frac{\sum_j y_{ij} e^{v_i^+ \cdot a_j / \tau}}
            {\sum_j e^{v_i^- \cdot a_j / \tau} + \sum_j e^{v_i^+ \cdot a_j / \tau}}

    with :math:`v_i^+` and :math:`v_i^-` the mean unit features of the sounding and the silent
    cells. The printed denominator leaves open how far its sum reaches; it is taken over both terms.
    Without a sounding cell, :math:`v_i^+ = \phi(V_i)`; without a silent one, the term of
    :math:`v_i^-` is left out.

    Parameters
    ----------
    image_features, audio_features
        ``(B, D, h, w)`` and ``(B, D)`` float, of the model in training; normalised here.
    labels
        Pseudo-labels of the same batch, by the previous epoch's model.
    tau
        Temperature, > 0.
    intra
        Whether silent cells are negatives (the paper's Intra); if not, the first sum of the
        denominator is left out.
    inter
        Whether related sounds are positives, too (the paper's Inter); if not, an image belongs with
        its own sound only. With neither, the objective is the paper's Itr: equation 3 with
        :math:`v_i^+` for :math:`\phi(V_i)`.

    Examples
    --------
    >>> same = torch.ones(4, 8, 2, 2)
    >>> half = torch.tensor([[[True, False], [True, False]]]).expand(4, 2, 2)
    >>> labels = PseudoLabels(half, ~half, torch.eye(4, dtype=torch.bool))
    >>> f"{iterative_loss(same, torch.ones(4, 8), labels, 0.1).item():.4f}"  # ln 8
    '2.0794'
    """
    unit = functional.normalize(image_features, dim=1)
    with_sounding = labels.sounding.any(dim=(1, 2))[:, None, None]
    sounding = _mean_over(unit, labels.sounding | ~with_sounding)
    logits = _logits(sounding, audio_features, tau)
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    positives = labels.related if inter else own
    everything = logits
    if intra:
        against = _logits(_mean_over(unit, labels.silent), audio_features, tau)
        absent = ~labels.silent.any(dim=(1, 2))[:, None]
        everything = torch.cat([logits, against.masked_fill(absent, -torch.inf)], dim=1)
    matched = logits.masked_fill(~positives, -torch.inf).logsumexp(dim=1)
    return (everything.logsumexp(dim=1) - matched).mean()


def _mean_over(features: Tensor, cells: Tensor) -> Tensor:
    """Mean of ``(B, D, h, w)`` over the cells ``(B, h, w)``; zeros where there is none."""
    weights = cells.to(features.dtype)
    total = torch.einsum("bdhw,bhw->bd", features, weights)
    return total / weights.sum(dim=(1, 2)).clamp(min=1)[:, None]


def _logits(images: Tensor, sounds: Tensor, tau: float) -> Tensor:
    return images @ functional.normalize(sounds, dim=1).T / tau


Threshold = Annotated[float, Field(ge=0, le=1)]


class Settings(EmbeddingSettings):
    """Hyper-parameters of iterative contrastive learning."""

    # Passes with the initial objective; the pseudo-labels of all later passes are those of the
    # model at the end of the pass before. As many as there are passes: never iterate.
    initial_epochs: Annotated[int, Field(ge=1)]
    delta_v: Threshold  # Response from which on a place is taken to sound
    # Cosine of two sounds from which on they are related. Too low a value relates everything.
    delta_a: Threshold
    # intra, inter: Whether silent places are negatives, and related sounds positives.
    intra: bool = True
    inter: bool = True


class ICLTask(EmbeddingTask[ICLNetwork, Settings]):
    """First the initial objective, then pseudo-labels of the previous pass's model."""

    _previous: ICLNetwork | None = None

    def start_epoch(self, epoch: int) -> None:
        """Keep the network as it is now for the pseudo-labels of this pass."""
        self._previous = self._frozen() if epoch >= self.settings.initial_epochs else None

    def loss(self, batch: Batch) -> Tensor:
        """Equation 3, and, once there are pseudo-labels, equation 7."""
        settings = self.settings
        features = self.encoded(batch)
        if self._previous is None:
            return initial_loss(*features, settings.tau)
        with torch.no_grad():
            labels = pseudo_labels(
                self._previous.encode_images(batch["images"]),
                self._previous.encode_sounds(batch["sounds"]),
                delta_v=settings.delta_v,
                delta_a=settings.delta_a,
            )
        pairs = len(labels.related) * (len(labels.related) - 1)
        self.note(
            sounding_share=labels.sounding.float().mean(),
            related_share=(labels.related.sum() - len(labels.related)) / max(pairs, 1),
        )
        return iterative_loss(
            *features, labels, settings.tau, intra=settings.intra, inter=settings.inter
        )

    def validation_loss(self, batch: Batch) -> Tensor:
        """Equation 3 in all passes: values of equation 7 depend on the pass's pseudo-labels."""
        return initial_loss(*self.encoded(batch), self.settings.tau)

    def similarities(self, batch: Batch) -> Tensor:
        """Mean cosine over locations."""
        images, sounds = self.encoded(batch)
        return mean_unit_features(images) @ sounds.T

    def state(self) -> Mapping[str, Any]:
        """The previous pass's model, where there is one."""
        return {} if self._previous is None else dict(self._previous.state_dict())

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put the previous pass's model back, or none where there was none."""
        self._previous = self._frozen() if state else None
        if self._previous is not None:
            self._previous.load_state_dict(state)

    def _frozen(self) -> ICLNetwork:
        return copy.deepcopy(self.network).eval().requires_grad_(False)


def prepare(preparation: Preparation) -> ICLTask:
    """Build the task of a recipe."""
    settings = preparation.settings(Settings)
    network = ICLNetwork(preparation.architecture(ICLArchitecture))
    trunk = preparation.start_image_trunk(network.imgnet)
    feeds = preparation.embedding_feeds(network.imgnet)
    return ICLTask(network, *feeds, settings, image_trunk_sha256=trunk)
