"""How far arrays of single precision may lie apart that two processors make."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGE = 10
RELATIVE = 1e-5


def assert_close(actual: ArrayLike, expected: NDArray[Any], tolerance: float) -> None:
    """Of one shape, and apart by the tolerance at most; by a little more where values are large.

    Single precision has steps of 1e-5 at 100, and sums of thousands of terms differ by several.
    """
    found = np.asarray(actual)
    assert found.shape == expected.shape
    large = np.abs(expected) > LARGE
    for part, relative in ((~large, 0), (large, RELATIVE)):
        np.testing.assert_allclose(found[part], expected[part], rtol=relative, atol=tolerance)
