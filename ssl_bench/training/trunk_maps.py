"""Maps of a frozen image trunk, which are made once for all passes, runs and models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_bench.errors import ModelError
from ssl_bench.files import digest_of_code
from ssl_bench.models.image_trunks import FrozenTrunk
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import Source
from ssl_bench.training.run_state import Progress, counted
from ssl_bench.training.stored_rows import StoredRows, made_once

# What decides the maps, beside the weights and the pictures; and what is made of frames.
_CODE = ("models", "media")
_LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "torch")


def trunk_maps(
    trunk: FrozenTrunk,
    source: Source,
    preprocessing: ImagePreprocessing,
    progress: Progress | None = None,
) -> StoredRows:
    """What a frozen trunk makes of all pictures of a source: maps ``(N, D, h, w)`` float16.

    They come from the cache folder if they are there; 4,000 take half a gigabyte.
    """

    def make(rows: range) -> NDArray[np.float16]:
        pixels = prepare_images([source.image(row) for row in rows], preprocessing)
        images = torch.from_numpy(pixels).to(memory_format=torch.channels_last)
        maps: NDArray[np.float16] = trunk.maps(images).half().numpy()
        return maps

    code = digest_of_code(_CODE, libraries=_LIBRARIES)
    key = [trunk.sha256, source.digest_of_images, preprocessing.model_dump(mode="json"), code]
    tell = counted("reading images once through the frozen trunk", progress)
    return made_once("trunk-maps", key, len(source.ids), make, tell)


def motions(
    source: Source,
    make: Callable[[NDArray[np.uint8]], NDArray[Any]],
    settings: list[Any],
    progress: Progress | None = None,
) -> StoredRows:
    """What `make` gives for the frames of each example of a source, from the cache if it is there.

    `settings` are all that decides it beside frames and code.
    """
    key = [source.digest, *settings, digest_of_code(_CODE, libraries=_LIBRARIES)]
    tell = counted("reading how things move", progress)
    return made_once(
        "motions",
        key,
        len(source.ids),
        lambda rows: np.stack([make(source.frames(row)) for row in rows]),
        tell,
    )


def refuse_varied(augmentation: Augmentation, where: Path) -> None:
    """Raise ModelError where pictures are varied, as maps of whole pictures cannot be."""
    whole = {"crop_area": (1.0, 1.0), "crop_aspect": 1.0, "flip": 0, "colour": 0, "greyscale": 0}
    wrong = [name for name, value in whole.items() if getattr(augmentation, name) != value]
    if wrong:
        raise ModelError(
            f"a frozen trunk reads each picture once, whole, and {', '.join(wrong)} would vary it",
            code="E_TRUNK_FROZEN",
            where=where,
            remedy="set crop_area = [1, 1], crop_aspect = 1 and flip = 0, and leave colours out",
        )
