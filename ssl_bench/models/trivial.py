"""Trivial baselines as localizers; :mod:`ssl_bench.scoring.maps` holds the maps themselves."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from ssl_bench.models.contract import AnnotationLocalizer
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, NoOptions, checked
from ssl_bench.schemas import Document
from ssl_bench.scoring.maps import TRIVIAL_MAPS


class _Trivial(AnnotationLocalizer):
    """A map of :data:`ssl_bench.scoring.maps.TRIVIAL_MAPS`, by its name there; settings checked."""

    made: ClassVar[str]
    settings: ClassVar[type[Document]] = NoOptions

    def __init__(self, **settings: Any) -> None:
        self._map = TRIVIAL_MAPS[self.made](
            **checked(self.settings, settings, self.made).model_dump()
        )
        options = dict(self._map.settings)
        self.provenance: Provenance = Provenance(
            self.made, seed=options.pop("seed", None), options=options
        )
        self.name = self.made

    @classmethod
    def assemble(cls, assembly: Assembly) -> Self:
        """Build it from its recipe, and from the seed where it has one."""
        assembly.refuse_weights()
        seeded = "seed" in cls.settings.model_fields
        if "seed" in assembly.options:
            assembly.checked_options(NoOptions)
        made = cls(**assembly.options, **({"seed": assembly.seed} if seeded else {}))
        made.name = assembly.name
        named = {"name": assembly.name, "variant": assembly.variant}
        made.provenance = made.provenance.model_copy(update=named)
        return made

    def map_for(self, image_key: str, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """The map of one trial."""
        return self._map.map_for(image_key, truth)


class _Seeded(Document):
    seed: NonNegativeInt = 0


class _Grid(_Seeded):
    resolution: PositiveInt = 7


class Center(_Trivial):
    """Minus the squared distance to the image centre."""

    made = "center"


class Full(_Trivial):
    """A constant map, which the protocols' rules read as the whole image."""

    made = "full"


class Oracle(_Trivial):
    """The truth itself, as the map that is best under the rules that binarise maps."""

    made = "oracle"
    needs_truth = True


class Random(_Trivial):
    """Uniform noise on a coarse grid of `resolution` cells along a side, by `seed` and image."""

    made = "random"
    settings = _Grid


class RandomPixel(_Trivial):
    """Uniform noise of single pixels of the 224 grid: the map that finds nothing at all."""

    made = "random-pixel"
    settings = _Seeded
