"""Trivial baselines: they neither look nor listen, and show what a score is worth."""

from __future__ import annotations

import hashlib
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from ssl_bench.models.contract import AnnotationLocalizer
from ssl_bench.models.provenance import Provenance
from ssl_bench.models.recipes import Assembly, NoOptions, checked
from ssl_bench.schemas import Document

_GRID = 224


class _Plain(AnnotationLocalizer):
    """A baseline without settings."""

    def __init__(self, provenance: Provenance) -> None:
        self.name = provenance.name
        self.provenance = provenance

    @classmethod
    def assemble(cls, assembly: Assembly) -> Self:
        """Build it from its recipe."""
        assembly.refuse_weights()
        assembly.checked_options(NoOptions)
        return cls(Provenance(assembly.name, variant=assembly.variant))


class _Constant(_Plain):
    """The same map for every trial."""

    _map: NDArray[np.float32]

    def map_for(self, image_key: str, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same array for every trial."""
        del image_key, truth
        return self._map


class Center(_Constant):
    """Minus the squared distance to the image centre, in pixels of the 224 grid.

    Under the half rule it predicts a disc in the centre that covers half of the image.

    Examples
    --------
    >>> center = Center()
    >>> map_ = center.map_for("any", np.zeros((224, 224), np.float32))
    >>> map_.shape, float(map_[111, 111]), float(map_[0, 0])
    ((224, 224), -0.5, -24864.5)
    """

    def __init__(self, provenance: Provenance | None = None) -> None:
        super().__init__(provenance or Provenance("center"))
        offset = (np.arange(_GRID) - (_GRID - 1) / 2) ** 2
        self._map = (-(offset[:, None] + offset[None, :])).astype(np.float32)
        self._map.setflags(write=False)


class Full(_Constant):
    """A constant map, which the protocols' rules read as the whole image.

    Examples
    --------
    >>> Full().map_for("any", np.zeros((224, 224), np.float32))
    array([[0.]], dtype=float32)
    """

    def __init__(self, provenance: Provenance | None = None) -> None:
        super().__init__(provenance or Provenance("full"))
        self._map = np.zeros((1, 1), np.float32)
        self._map.setflags(write=False)


class RandomOptions(Document):
    """Options of the random baseline.

    Attributes
    ----------
    resolution
        Cells of the map along one side. It changes the score: noise of single pixels never
        succeeds under the half rule, noise of large cells sometimes does.
    """

    resolution: PositiveInt = 7


class _Seed(Document):
    seed: NonNegativeInt


class Random(AnnotationLocalizer):
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

    Examples
    --------
    >>> truth = np.zeros((224, 224), np.float32)
    >>> first = Random(seed=1).map_for("a", truth)
    >>> first.shape, bool((first == Random(seed=1).map_for("a", truth)).all())
    ((7, 7), True)
    """

    def __init__(
        self, seed: int = 0, resolution: int = 7, provenance: Provenance | None = None
    ) -> None:
        self._seed = checked(_Seed, {"seed": seed}, "random").seed
        self._resolution = checked(RandomOptions, {"resolution": resolution}, "random").resolution
        settings: tuple[tuple[str, Any], ...] = (("resolution", self._resolution),)
        self.provenance = provenance or Provenance("random", seed=seed, options=settings)
        self.name = self.provenance.name

    @classmethod
    def assemble(cls, assembly: Assembly) -> Self:
        """Build it from its recipe; the option ``resolution`` defaults to 7."""
        assembly.refuse_weights()
        resolution = assembly.checked_options(RandomOptions).resolution
        return cls(assembly.seed, resolution, _seeded(assembly, resolution))

    def map_for(self, image_key: str, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Noise in [0, 1), the same for the same image, whatever else was asked before."""
        del truth
        words = np.frombuffer(hashlib.sha256(image_key.encode()).digest(), "<u4")
        sequence = np.random.SeedSequence([self._seed, *words.tolist()])
        return self._noise(np.random.Generator(np.random.PCG64(sequence)))

    def _noise(self, generator: np.random.Generator) -> NDArray[np.float32]:
        return generator.random((self._resolution, self._resolution)).astype(np.float32)


class RandomPixel(Random):
    """Uniform noise of single pixels of the 224 grid: the map that finds nothing at all.

    Under the half rule every success is an object that covers nearly the whole image.

    Examples
    --------
    >>> RandomPixel(seed=1).map_for("a", np.zeros((0, 0), np.float32)).shape
    (224, 224)
    """

    def __init__(self, seed: int = 0, provenance: Provenance | None = None) -> None:
        settings: tuple[tuple[str, Any], ...] = (("resolution", _GRID),)
        own = provenance or Provenance("random-pixel", seed=seed, options=settings)
        super().__init__(seed, _GRID, own)

    @classmethod
    def assemble(cls, assembly: Assembly) -> Self:
        """Build it from its recipe."""
        assembly.refuse_weights()
        assembly.checked_options(NoOptions)
        return cls(assembly.seed, _seeded(assembly, _GRID))

    def _noise(self, generator: np.random.Generator) -> NDArray[np.float32]:
        # Drawn in single precision, which takes half of the time for so many values.
        return generator.random((_GRID, _GRID), dtype=np.float32)


def _seeded(assembly: Assembly, resolution: int) -> Provenance:
    return Provenance(
        assembly.name,
        variant=assembly.variant,
        seed=assembly.seed,
        options=(("resolution", resolution),),
    )


class Oracle(_Plain):
    """The truth itself, as the map that is best under the rules that binarise maps.

    Pixels are ordered by truth, then from top to bottom and left to right. The order is written
    into values that float16 holds exactly:

    - pixels with truth > 0 lie in [0.5, 1) and all others in [0, 0.5). This holds after min-max
      normalisation too, so that a fixed threshold of one half returns the truth;
    - the last pixel of the truth, and the pixel at which half of the image is full, have values
      of their own, so that rules which take the k highest values find exactly k pixels, with
      ``>=`` as with ``>`` (which then loses one). Elsewhere up to 50 neighbours in the order
      share a value.

    A truth that fills the whole image has no pixel for the lower range.

    Examples
    --------
    >>> truth = np.array([[0, 1], [0, 0]], np.float32)
    >>> Oracle().map_for("any", truth)
    array([[0.49951172, 0.9995117 ],
           [0.        , 0.        ]], dtype=float32)
    """

    needs_truth = True

    def __init__(self, provenance: Provenance | None = None) -> None:
        super().__init__(provenance or Provenance("oracle"))

    def map_for(self, image_key: str, truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """The map of one truth ``(size, size)``."""
        del image_key
        flat = truth.ravel()
        order = np.argsort(-flat, kind="stable")
        positive = int(np.count_nonzero(flat > 0))
        half = flat.size - flat.size // 2
        filled = np.zeros(flat.size)
        if positive <= half:
            filled[:positive] = 0.5 + _levels(positive, 1024) / 2048
            filled[positive:half] = (1 + _levels(half - positive, 2046)) / 4096
        else:
            filled[:half] = 0.5 + (512 + _levels(half, 512)) / 2048
            filled[half:positive] = 0.5 + _levels(positive - half, 512) / 2048
        values = np.empty(flat.size, np.float32)
        values[order] = filled
        return values.reshape(truth.shape)


def _levels(count: int, available: int) -> NDArray[np.int64]:
    """Spread `count` ranks over levels ``available - 1`` down to 0; the last has 0 to itself."""
    ranks = np.arange(count)
    return available - 1 - ranks * (available - 1) // max(count - 1, 1)
