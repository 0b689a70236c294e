"""Hear The Flow (Fedorishin et al., WACV 2023): the objective of LVS, on images with their flow.

Settings are those of the authors' code (denfed/heartheflow), whose formula is that of
:func:`~ssl_bench.training.objectives.lvs.lvs_loss`, constants and all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_bench.models.heartheflow import (
    HearTheFlowArchitecture,
    HearTheFlowNetwork,
    HearTheFlowPreprocessing,
    scaled_flow,
    whole_flow,
)
from ssl_bench.models.image_trunks import FrozenTrunk
from ssl_bench.models.images import resize_image
from ssl_bench.models.optical_flow import FlowPreprocessing, flow_of, mirrored_flow
from ssl_bench.models.sounds import prepare_sound
from ssl_bench.training.augmentation import Augmentation, apply_crop, crops_of
from ssl_bench.training.data import Needs
from ssl_bench.training.feeds import Batch, Feed, Rows
from ssl_bench.training.objectives.lvs import TAU, lvs_loss
from ssl_bench.training.preparation import Initialisation, Preparation, initialise
from ssl_bench.training.task import EmbeddingSettings, EmbeddingTask

_ROOM = 256 * 2**20
"""Bytes of flow that are kept from pass to pass."""

STEM = ("conv1.weight",)
"""What the trunk for flow has of its own where it starts from one for images."""


class FlowFeed(Feed):
    """Images with their flow as two further channels, cut and mirrored alike.

    Parameters
    ----------
    feed
        Images with sounds, whose source has frames.
    flow
        How flow is made.
    """

    def __init__(self, feed: Feed, flow: FlowPreprocessing) -> None:
        needs = Needs()  # Frames become flow here, and do not stand for images
        super().__init__(feed.source, feed.augmentation, feed.preprocessing, feed.seed, needs)
        self._flow = flow
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._room = _ROOM

    def images(
        self, rows: Rows, epoch: int, view: int = 0, augmentation: Augmentation | None = None
    ) -> Tensor:
        """Augmented images with their flow, ``(B, 5, side, side)`` float32, channels last."""
        pixels = super().images(rows, epoch, view, augmentation)
        chosen, side = augmentation or self.augmentation, self.preprocessing.side
        crops = crops_of(chosen, len(self), self.seed, epoch, view)
        cut = []
        for row in map(int, rows):
            flow = self.flow(row)
            square_of = flow.shape if chosen.crop_square else None
            layers = apply_crop(flow, crops, row, side, square_of=square_of)
            cut.append(mirrored_flow(layers, self._flow) if crops.mirrored[row] else layers)
        return self._with(pixels, cut)

    def whole_images(self, rows: Rows) -> Tensor:
        """Whole images with their flow, ``(B, 5, side, side)``, as the model has them in use."""
        whole = [resize_image(self.flow(int(row)), self.preprocessing) for row in rows]
        return self._with(super().whole_images(rows), whole)

    def flow(self, row: int) -> NDArray[np.uint8]:
        """Picture of the flow of one example, ``(height, width, 3)`` uint8; many are kept."""
        found = self._kept.get(row)
        if found is None:
            found = flow_of(self.source.frames(row), self._flow)
            if self._room >= found.nbytes:
                self._kept[row] = found
                self._room -= found.nbytes
        return found

    def _with(self, pixels: Tensor, flows: Sequence[NDArray[Any]]) -> Tensor:
        moved = scaled_flow(torch.from_numpy(np.stack(flows)[..., :2]), self._flow)
        return torch.cat([pixels, moved], dim=1)


class Settings(EmbeddingSettings):
    """Hyper-parameters of Hear The Flow; the defaults are those of the authors' code."""

    tau: float = TAU
    # Whether weights of the trunk for images stay as they start; its batch normalisation follows
    # the data all the same, as in the authors' code.
    freeze_image_trunk: bool = True
    # Whether the trunk for flow starts as that for images does, but for its first layer.
    start_flow_trunk: bool = True
    initialisation: Initialisation = "torch"  # Of the trunk for sounds


class HearTheFlowTask(EmbeddingTask[HearTheFlowNetwork, Settings]):
    """Places that surely sound against the background and against other sounds."""

    gathers = True
    flow: FlowPreprocessing | None = None  # How the flow of batches is made that hold it apart

    def places(self, batch: Batch) -> Tensor:
        """See :meth:`EmbeddingTask.places`."""
        if self.flow is None:
            return super().places(batch)
        return self.network.encode_moving(batch["images"], scaled_flow(batch["flow"], self.flow))

    def loss(self, batch: Batch) -> Tensor:
        """Objective on a batch; negatives are the other sounds of it."""
        return lvs_loss(*self.contrasted(batch), self.settings.tau)


def prepare(preparation: Preparation) -> HearTheFlowTask:
    """Build the task of a recipe.

    Raises DataError if flow is read and the data have no video.
    """
    settings = preparation.settings(Settings)
    preprocessing = preparation.preprocessing(HearTheFlowPreprocessing)
    network = HearTheFlowNetwork(preparation.architecture(HearTheFlowArchitecture))
    initialise([network.audnet], settings.initialisation)
    front_end = partial(prepare_sound, preprocessing=preprocessing.audio)
    video = None if network.flowatt is None else preprocessing.flow.video_input
    needs = Needs(video=video)
    training, validation = preparation.feeds(preprocessing.image, front_end, needs)
    if video is None:
        preparation.see_once(network.imgnet, training, validation)
    elif isinstance(network.imgnet, FrozenTrunk):
        make = partial(whole_flow, preprocessing=preprocessing)
        key = [each.model_dump(mode="json") for each in (preprocessing.flow, preprocessing.image)]
        feeds = training, validation
        training, validation = preparation.motion_feeds(network.imgnet, feeds, "flow", make, key)
    else:
        training, validation = (
            FlowFeed(feed, preprocessing.flow) for feed in (training, validation)
        )
    trunk = preparation.start_image_trunk(network.imgnet)
    if network.flownet is not None and settings.start_flow_trunk:
        preparation.start_image_trunk(network.flownet, kept=STEM)
    if settings.freeze_image_trunk:
        network.imgnet.requires_grad_(False)
    task = HearTheFlowTask(network, training, validation, settings, image_trunk_sha256=trunk)
    task.flow = preprocessing.flow if training.motions else None
    return task
