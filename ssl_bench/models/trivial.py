"""Trivial baselines as localizers; :mod:`ssl_bench.scoring.maps` holds the maps themselves."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from ssl_bench.models.contract import AnnotationLocalizer
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, NoOptions, checked
from ssl_bench.schemas import Document
from ssl_bench.scoring.maps import TRIVIAL_MAPS


class RandomOptions(Document):
    """Options of the random baseline: cells of the map along one side."""

    resolution: PositiveInt = 7


class _Seed(Document):
    seed: NonNegativeInt


class _Trivial(AnnotationLocalizer):
    """A map of :data:`ssl_bench.scoring.maps.TRIVIAL_MAPS`, by its name there."""

    _made: ClassVar[str]

    def __init__(self, provenance: Provenance | None = None, **settings: int) -> None:
        self._map = TRIVIAL_MAPS[self._made](**settings)
        facts = dict(self._map.settings)
        seed = facts.pop("seed", None)
        self.provenance: Provenance = provenance or Provenance(self._made, seed=seed, options=facts)
        self.name = self.provenance.name

    @classmethod
    def assemble(cls, assembly: Assembly) -> Self:
        """Build it from its recipe."""
        assembly.refuse_weights()
        assembly.checked_options(NoOptions)
        return cls(Provenance(assembly.name, variant=assembly.variant))

    def map_for(self, image_key: str, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """The map of one trial."""
        return self._map.map_for(image_key, truth)


class Center(_Trivial):
    """Minus the squared distance to the image centre."""

    _made = "center"


class Full(_Trivial):
    """A constant map, which the protocols' rules read as the whole image."""

    _made = "full"


class Oracle(_Trivial):
    """The truth itself, as the map that is best under the rules that binarise maps."""

    _made = "oracle"
    needs_truth = True


class Random(_Trivial):
    """Uniform noise on a coarse grid, from the seed and the image's identity alone.

    Parameters
    ----------
    seed
        Seed >= 0.
    resolution
        Cells along one side, >= 1.
    provenance
        Where it comes from; made from the other two where it is not given.

    Raises
    ------
    ModelError
        If the seed or the resolution is out of range.
    """

    _made = "random"

    def __init__(
        self, seed: int = 0, resolution: int = 7, provenance: Provenance | None = None
    ) -> None:
        checked(_Seed, {"seed": seed}, "random")
        checked(RandomOptions, {"resolution": resolution}, "random")
        super().__init__(provenance, seed=seed, resolution=resolution)

    @classmethod
    def assemble(cls, assembly: Assembly) -> Self:
        """Build it from its recipe; the option ``resolution`` defaults to 7."""
        assembly.refuse_weights()
        resolution = assembly.checked_options(RandomOptions).resolution
        made = cls(assembly.seed, resolution)
        return cls(assembly.seed, resolution, _renamed(made, assembly))


class RandomPixel(_Trivial):
    """Uniform noise of single pixels of the 224 grid: the map that finds nothing at all."""

    _made = "random-pixel"

    def __init__(self, seed: int = 0, provenance: Provenance | None = None) -> None:
        super().__init__(provenance, seed=checked(_Seed, {"seed": seed}, "random").seed)

    @classmethod
    def assemble(cls, assembly: Assembly) -> Self:
        """Build it from its recipe."""
        assembly.refuse_weights()
        assembly.checked_options(NoOptions)
        return cls(assembly.seed, _renamed(cls(assembly.seed), assembly))


def _renamed(made: _Trivial, assembly: Assembly) -> Provenance:
    """What the map depends on, under the name and variant of a recipe."""
    return made.provenance.model_copy(update={"name": assembly.name, "variant": assembly.variant})
