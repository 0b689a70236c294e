"""The sweep over the weight of the audio-visual map."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ssl_bench.analysis.evaluation import evaluate
from ssl_bench.trials.compositions import open_trials

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "alpha_sweep.py"


@pytest.fixture(scope="module")
def sweep() -> ModuleType:
    spec = importlib.util.spec_from_file_location("alpha_sweep", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_alpha_is_chosen_on_the_validation_split(sweep: ModuleType) -> None:
    trials = open_trials(sweep.validation_protocol())
    assert trials.protocol.label == "synth@synth:val"
    assert all(trial.id.startswith("val-") for trial in trials)


@pytest.mark.slow
def test_each_figure_is_that_of_the_model_mixed_on_the_command_line(
    sweep: ModuleType, tmp_path: Path
) -> None:
    protocol = sweep.validation_protocol()
    options = {"count": 40, "seed": 0}
    few = protocol.model_copy(
        update={"test_set": protocol.test_set.model_copy(update={"options": options})}
    )
    found = list(sweep.swept("ezvsl", None, ["ogl-cls"], few, [0.0, 0.7], tmp_path))
    assert [(prior, alpha) for prior, alpha, _ in found] == [("ogl-cls", 0.0), ("ogl-cls", 0.7)]
    direct = evaluate(
        "ezvsl",
        few,
        alpha=0.7,
        settings={"prior": "ogl-cls"},
        folder=tmp_path / "direct",
    )
    for measure in sweep.MEASURES:
        value = direct.result[measure].value
        assert value is not None
        assert found[1][2][f"synth {measure}"] == pytest.approx(100 * value)


def test_a_missing_figure_is_not_a_zero(sweep: ModuleType) -> None:
    shown = sweep.table({("ogl-l1", 0.5): {"synth cIoU@0.5": float("nan"), "synth AUC": 12.34}})
    assert shown.splitlines()[-1] == "| ogl-l1 | 0.5 | nan | 12.3 |"
    assert np.isclose(sweep.GRID, np.linspace(0, 1, 11)).all()
