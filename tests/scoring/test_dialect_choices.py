"""Dialects that leave a choice: of a model's constants, of a batch, of a script."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refused
from standins import predictions_of, sample, trials_of

from ssl_bench.protocols.protocol import ControlsTable, load_dialect, load_protocol
from ssl_bench.scoring.checks import check_scorable
from ssl_bench.scoring.dialects import dialect_table, dialects_for
from ssl_bench.trials.trial_set import TrialSet

MODEL = "ezvsl"


@pytest.fixture
def trials() -> TrialSet:
    return trials_of([sample(name, category=name) for name in "abcdefghij"], "negative_audio")


@pytest.fixture
def predictions(trials: TrialSet, tmp_path: Path) -> Path:
    maps = np.random.default_rng(0).normal(size=(len(trials), 4, 4)).astype(np.float32)
    return predictions_of(trials, maps, tmp_path / "maps.npz", model=MODEL)


def test_a_model_has_to_be_chosen(trials: TrialSet) -> None:
    with refused("E_DIALECT_CHOICE") as caught:
        trials.protocol.under(load_dialect("vssl"))
    assert "vssl:sslalign" in str(caught.value.remedy)


@pytest.mark.parametrize("reference", ["vssl:nobody", "vssl:", "vssl:16", "ezvsl:16"])
def test_an_unknown_choice_is_refused(reference: str) -> None:
    with refused("E_DIALECT_CHOICE"):
        load_dialect(reference)


@pytest.mark.parametrize("reference", ["acl-half:0", "acl-half:-1", "acl-half:many"])
def test_a_batch_has_at_least_one_trial(reference: str) -> None:
    with refused("E_DIALECT_CHOICE") as caught:
        load_dialect(reference)
    assert "acl-half:N" in str(caught.value.remedy)


def test_it_is_for_negative_audio_alone() -> None:
    with refused("E_DIALECT_COMPOSITION"):
        load_protocol("synth").under(load_dialect("vssl:slavc"))


@pytest.mark.parametrize("model", load_dialect("vssl").models)
def test_thresholds_are_the_constants_on_the_scale_of_the_maps(model: str) -> None:
    constants = load_dialect("vssl").models[model]
    threshold = load_dialect(f"vssl:{model}").threshold
    assert threshold.pooled is not None
    for own, value in zip(
        (threshold.value, *threshold.pooled), (constants.value, *constants.pooled), strict=True
    ):
        assert own * constants.scale + constants.offset == pytest.approx(value)


@pytest.mark.slow
def test_all_dialects_include_that_of_the_files_own_model(
    predictions: Path, trials: TrialSet
) -> None:
    usable, without = dialects_for(trials.protocol, MODEL)
    assert without == []
    assert "vssl" not in usable
    table = dialect_table(predictions, trials, usable)
    assert f"vssl:{MODEL}" in set(table["dialect"])


def test_other_trials_and_other_models_go_without(trials: TrialSet) -> None:
    assert dialects_for(trials.protocol, "mine")[1] == ["vssl"]
    usable, without = dialects_for(load_protocol("synth"), MODEL)
    assert without == []
    assert not any(name.startswith("vssl") for name in usable)


def test_pooling_needs_thresholds_to_pool(trials: TrialSet) -> None:
    pooled = trials.protocol.model_copy(
        update={"measures": ("pooled-AUC",), "controls": ControlsTable(floors=())}
    )
    with refused("E_THRESHOLDS_POOLED"):
        check_scorable(TrialSet(pooled, trials.test_set, trials.trials))


@pytest.mark.parametrize(("choice", "fraction"), [("dsol:duet", 0.2), ("dsol:solo", 0.1)])
def test_a_script_has_a_fraction_of_its_own(choice: str, fraction: float) -> None:
    shipped, chosen = load_dialect("dsol"), load_dialect(choice)
    assert (shipped.threshold.value, chosen.threshold.value) == (0.5, fraction)
    assert chosen.name == choice
    assert chosen.map == shipped.map
    assert load_protocol("multi-source").under(chosen).dialect == choice


def test_another_script_is_refused() -> None:
    with refused("E_DIALECT_CHOICE") as caught:
        load_dialect("dsol:trio")
    assert caught.value.remedy == "write one of: dsol, dsol:duet, dsol:solo"
