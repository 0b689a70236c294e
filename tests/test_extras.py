"""A library that an extra brings: one sentence where it is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from boards import write_card
from packaging.requirements import Requirement
from refusals import refused

import ssl_bench
from ssl_bench.extras import _EXTRA_OF, extra_needed

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "faiss": "faiss-cpu",
    "lightning_fabric": "lightning-fabric",
    "mlflow": "mlflow-skinny",
}


@pytest.mark.parametrize("library", sorted(_EXTRA_OF))
def test_the_named_extra_brings_the_library(library: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought = project["optional-dependencies"][_EXTRA_OF[library]]
    assert DISTRIBUTIONS.get(library, library) in {Requirement(text).name for text in brought}


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from ssl_bench.cli import main
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("evaluate", "--model", "ezvsl", "--protocol", "synth"), "models"),
        (("train", "--model", "ezvsl"), "train"),
    ],
)
def test_a_missing_library_is_one_sentence_on_the_command_line(
    command: tuple[str, ...], extra: str, tmp_path: Path
) -> None:
    settings = {**os.environ, "PYTHONPATH": str(Path(ssl_bench.__file__).parent.parent)}
    start = (sys.executable, "-c", WITHOUT_TORCH, *command)
    done = subprocess.run(start, cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert done.returncode == 2
    *_, line = done.stderr.splitlines()  # after the stages of a slow machine
    assert line.startswith(f"error[E_EXTRA_MISSING]: ssl-bench {command[0]} needs torch")
    assert f"'.[{extra}]'" in line
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_of_an_extra_names_the_extra() -> None:
    with refused("E_EXTRA_MISSING"), extra_needed("ssl_bench.train"):
        raise ModuleNotFoundError(name="cv2.gapi")


@pytest.mark.parametrize(
    ("library", "told"), [("transformers", "the model acl needs"), ("torch", "evaluate needs")]
)
def test_what_only_some_models_need_is_said_of_the_model(library: str, told: str) -> None:
    model = extra_needed("the model acl", common="models")
    with refused("E_EXTRA_MISSING", where=told), extra_needed("evaluate"), model:
        raise ModuleNotFoundError(name=library)


def test_an_unknown_missing_module_is_a_fault_of_the_code() -> None:
    with pytest.raises(ModuleNotFoundError), extra_needed("ssl_bench.train"):
        raise ModuleNotFoundError(name="ssl_bench.nowhere")


@pytest.mark.slow
def test_own_maps_are_scored_and_entered_without_torch(tmp_path: Path) -> None:
    trials = ssl_bench.open_trials("synth")
    side = np.linspace(0, 1, 14, dtype=np.float32)
    trials.save(tmp_path / "mine.npz", np.tile(side, (len(trials), 14, 1)), model="right")
    write_card(tmp_path / "card.toml")
    settings = {**os.environ, "PYTHONPATH": str(Path(ssl_bench.__file__).parent.parent)}

    def run(*command: str) -> str:
        start = (sys.executable, "-c", WITHOUT_TORCH, *command)
        done = subprocess.run(start, cwd=tmp_path, env=settings, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    scored = json.loads(run("score", "mine.npz", "--out", "run", "--json"))
    assert scored["priors"] == []
    assert "torch" in scored["priors_note"]
    assert scored["hearing"][0]["best_without"] == "trivial map center"

    synth = Path("submissions") / "synth"
    shutil.copytree(ROOT / "leaderboard" / synth / "unet", tmp_path / "board" / synth / "unet")
    maps = ("mine.npz", "--protocol", "synth", "--card", "card.toml")
    entered = json.loads(run("submit", *maps, "--board", "board", "--dry-run", "--json"))
    assert entered["headline"][0]["best_without"] == "prior unet"
