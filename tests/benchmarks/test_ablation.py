"""Ablations: what their files may say, and the table that comes out."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ssl_bench.models.registry import load_baseline
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.schemas import read_toml
from ssl_bench.training.recipe import changed_recipe, training_recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ablation", BENCHMARKS / "ablation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its classes look their own module up.
    sys.modules["ablation"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("ablations/*.toml")))
def test_every_file_fits_its_baseline_and_the_protocols(name: str, ablation: ModuleType) -> None:
    found = read_toml(BENCHMARKS / "ablations" / f"{name}.toml", ablation.Ablation)
    names = [row.name for row in found.rows]
    assert len(set(names)) == len(names)
    for row in found.rows:
        recipe = training_recipe(load_baseline(found.model), row.variant or found.data)
        changed_recipe(recipe, row.overrides)
    for columns in found.columns:
        measures = {str(measure) for measure in load_protocol(columns.protocol).measures}
        assert set(columns.measures) <= measures


def test_a_cell_has_the_mean_and_the_range_in_percent(ablation: ModuleType) -> None:
    assert ablation.cell([0.5, 0.7, 0.6], "synth cIoU@0.5") == "60.0 (50.0 to 70.0)"
    assert ablation.cell([0.5], "synth cIoU@0.5") == "50.0"
    assert ablation.cell([2.5, 3.5], "val loss") == "3.000 (2.500 to 3.500)"
    assert ablation.cell([None], "synth cIoU@0.5") == "-"


def test_the_table_has_a_line_for_each_row(ablation: ModuleType) -> None:
    found = {"first": [{"val AUC": 0.5}], "second": [{"val AUC": 0.25}]}
    assert ablation.table("icl", found).splitlines() == [
        "| icl | val AUC |",
        "| --- | --- |",
        "| first | 50.0 |",
        "| second | 25.0 |",
    ]
