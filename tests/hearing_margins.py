"""Margins of the papers' central claim, in points.

They lie below what every one of three training seeds reached (``benchmarks/seeds.csv``, made by
``benchmarks/retrain.py --seeds 0 1 2 --table``), and are asserted of the weights that ship.
"""

from __future__ import annotations

HALF, ADAPTIVE = "cIoU@0.5", "cIoU(adaptive)@0.5"

ABOVE_FLOORS = {HALF: 5, ADAPTIVE: 20}
"""On standard trials, above the best trivial map."""

NEAR_FLOORS = frozenset({"attention", "coarse-to-fine", "lcbm"})
"""Baselines that stay nearer to it, as their cards say; where sound chooses they are ahead, too."""

HARDLY_HEARING = frozenset({"dmc", "sspl"})
"""Baselines whose maps hardly follow the sound, as their cards say: nothing of this is claimed."""

AHEAD = {"concat": 5, "type-ab B": 12, "interactive": 9}
"""Of the adaptive measure, above the best of all models that never hear."""

CLOSE = 2
"""Of the half rule on standard trials: how far the best model without sound may stay behind."""
