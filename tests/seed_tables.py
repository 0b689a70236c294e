"""Tables of several seeds below ``benchmarks/``, as tests of claims read them."""

from __future__ import annotations

import csv
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

Points = dict[tuple[str, int, str, str], float]


def read_points(name: str) -> Points:
    """Percentages by model, seed, protocol and measure."""
    with (BENCHMARKS / name).open(encoding="utf-8", newline="") as stream:
        return {
            (row["model"], int(row["seed"]), row["protocol"], row["measure"]): 100
            * float(row["value"])
            for row in csv.DictReader(stream)
            if row["value"]
        }
