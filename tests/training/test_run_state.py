"""An unfinished run goes on to the very weights of an uninterrupted one."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from refusals import refused

from ssl_bench.training.recipe import TrainingRecipe
from ssl_bench.training.run import train
from ssl_bench.training.run_state import RunState, Step

pytestmark = pytest.mark.slow

STEP = Step("training", 3, 9, 0.5, 12.34)


def kill_at(step: int, folder: Path, recipe: TrainingRecipe) -> None:
    """Train in a process that is killed from within at a step: nothing can be tidied up."""

    def tell(reached: Step) -> None:
        if reached.stage == "training" and reached.done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            train("ezvsl", out=folder, recipe=recipe, save_every=2, progress=tell)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.fixture(scope="module")
def recipe() -> TrainingRecipe:
    return TrainingRecipe(
        objective="ez-vsl",
        scenes=64,
        validation_scenes=8,
        epochs=2,
        batch=8,
        peak_learning_rate=4e-3,
        time_mask=0.2,
        settings={"tau": 0.15, "sound_bank_per_category": 1},
    )


def steps_of(folder: Path) -> int:
    return int(json.loads((folder / "synth.progress.json").read_text())["steps"])


@pytest.fixture(scope="module")
def killed(tmp_path_factory, recipe) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    kill_at(5, folder, recipe)  # within the first pass
    return folder


def test_killed_in_the_middle_of_a_pass_it_resumes_to_the_same_bytes(killed, tmp_path, recipe):
    whole = train("ezvsl", out=tmp_path / "whole", recipe=recipe)
    folder = tmp_path / "killed"
    shutil.copytree(killed, folder)
    assert steps_of(folder) == 4
    assert not (folder / "synth.safetensors").exists()
    kill_at(11, folder, recipe)  # within the second
    assert steps_of(folder) == 10
    steps: list[Step] = []
    resumed = train("ezvsl", out=folder, recipe=recipe, save_every=2, progress=steps.append)
    assert [step.done for step in steps if step.stage == "training"] == list(range(11, 17))
    assert resumed.losses == whole.losses
    assert resumed.epochs == whole.epochs
    weights = [path / "synth.safetensors" for path in (folder, tmp_path / "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert not list(folder.glob("*unfinished*")) + list(folder.glob("*progress*"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"recipe": {"flip": 0.1}}, "another recipe"),
        ({"seed": 3}, "another seed"),
        ({"recipe": {"scenes": 32}}, "another data, recipe"),
    ],
)
def test_an_unfinished_run_of_another_kind_is_refused_and_kept(
    killed, tmp_path, recipe, change, named
):
    kept = (killed / "synth.unfinished.pt").read_bytes()
    (tmp_path / "synth.unfinished.pt").write_bytes(kept)
    other = recipe.model_copy(update=change.get("recipe", {}))
    with refused("E_RUN_OTHER", where=named):
        train("ezvsl", out=tmp_path, recipe=other, seed=change.get("seed"))
    assert (tmp_path / "synth.unfinished.pt").read_bytes() == kept


def unfinished(folder: Path, **run: object) -> RunState:
    return RunState(folder, "synth", run or {"seed": 0})


def test_what_is_saved_is_what_is_loaded(tmp_path):
    state = {"network": {"w": torch.arange(3.0)}, "losses": [0.5, 0.25], "epoch": 1}
    unfinished(tmp_path).save(state, STEP)
    loaded = unfinished(tmp_path).load()
    assert torch.equal(loaded["network"]["w"], state["network"]["w"])
    assert loaded["losses"] == state["losses"]
    assert json.loads((tmp_path / "synth.progress.json").read_text()) == {
        "steps": 3,
        "of": 9,
        "loss": 0.5,
        "examples_per_second": 12.3,
    }


def test_where_nothing_is_kept_there_is_nothing_to_load(tmp_path):
    assert unfinished(tmp_path).load() is None
    unfinished(tmp_path).save({}, STEP)
    unfinished(tmp_path).remove()
    assert unfinished(tmp_path).load() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\x80\x02cposix\nsystem\n."])
def test_a_damaged_file_is_named_and_nothing_in_it_is_run(tmp_path, content):
    unfinished(tmp_path).path.write_bytes(content)
    with refused("E_RUN_DAMAGED", where="synth.unfinished.pt"):
        unfinished(tmp_path).load()


def test_another_document_of_torch_is_refused(tmp_path):
    torch.save({"model": {}}, unfinished(tmp_path).path)
    with refused("E_RUN_FORMAT", where="synth.unfinished.pt"):
        unfinished(tmp_path).load()
