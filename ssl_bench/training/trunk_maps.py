"""Maps of a frozen image trunk, which are made once for all passes, runs and models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_bench.errors import ModelError
from ssl_bench.files import atomic_path, cache_folder, digest_of_code, sha256_of_json
from ssl_bench.models.image_trunks import FrozenTrunk
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.training.augmentation import Augmentation
from ssl_bench.training.data import Source
from ssl_bench.training.run_state import Progress, counted

_BATCH = 16
# What decides the maps, beside the weights and the pictures.
_CODE = ("models", "media")
_LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "torch")


@dataclass(frozen=True)
class TrunkMaps:
    """Maps of N pictures: a file ``(N, D, h, w)`` float16."""

    path: Path

    def of(self, rows: NDArray[np.int64]) -> Tensor:
        """Maps ``(B, D, h, w)`` float32 of some pictures."""
        return torch.from_numpy(np.load(self.path, mmap_mode="r")[rows].astype(np.float32))


def trunk_maps(
    trunk: FrozenTrunk,
    source: Source,
    preprocessing: ImagePreprocessing,
    progress: Progress | None = None,
) -> TrunkMaps:
    """What a frozen trunk makes of all pictures of a source, from the cache folder if it is there.

    4,000 pictures take half a gigabyte.
    """
    code = digest_of_code(_CODE, libraries=_LIBRARIES)
    key = [trunk.sha256, source.digest, preprocessing.model_dump(mode="json"), code]
    path, count = cache_folder("trunk-maps", f"{sha256_of_json(key)}.npy"), len(source.ids)
    if _is_whole(path, count):
        return TrunkMaps(path)
    tell = counted("reading images once through the frozen trunk", progress)
    with atomic_path(path) as temporary:
        stored: NDArray[np.float16] | None = None
        for start in range(0, count, _BATCH):
            rows = range(start, min(start + _BATCH, count))
            pixels = prepare_images([source.image(row) for row in rows], preprocessing)
            images = torch.from_numpy(pixels).to(memory_format=torch.channels_last)
            maps = trunk.maps(images).half().numpy()
            if stored is None:
                shape = (count, *maps.shape[1:])
                stored = np.lib.format.open_memmap(temporary, "w+", np.float16, shape)
            stored[start : rows.stop] = maps
            if tell is not None:
                tell(rows.stop, count)
    return TrunkMaps(path)


def _is_whole(path: Path, count: int) -> bool:
    try:
        return len(np.load(path, mmap_mode="r")) == count
    except (OSError, ValueError):
        return False


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
