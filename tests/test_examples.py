"""The examples, run as their README says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from protocol_files import few_trials
from split_off import run_script, split_off

from ssl_bench.cli import main

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(*command: str | Path, folder: Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def ssl_bench_json(*arguments: str | Path, folder: Path, search: tuple[Path, ...] = ()) -> dict:
    def command() -> None:
        sys.path[:0] = map(str, search)
        main([*map(str, arguments), "--json"])

    done = split_off(command, folder)
    assert done.code == 0, done.out + done.err
    document: dict = json.loads(done.out)
    return document


def test_the_readme_names_every_example() -> None:
    named = set(re.findall(r"^\| `([\w./-]+)`", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    there = {
        path.name + ("/" if path.is_dir() else "")
        for path in EXAMPLES.iterdir()
        if path.name not in ("README.md", "__pycache__")
    }
    assert named == there


@pytest.mark.slow
def test_a_model_in_ten_lines(tmp_path: Path) -> None:
    code = (EXAMPLES / "own_model.py").read_text().split('"""')[-1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    (tmp_path / "tiny.toml").write_text(few_trials(40), encoding="utf-8")
    arguments = ("evaluate", "--model", f"{EXAMPLES / 'own_model.py'}:Bright")
    found = ssl_bench_json(*arguments, "--protocol", "tiny.toml", "--sheet", "0", folder=tmp_path)
    assert found["model"]["name"] == "bright"
    assert found["coverage"]["present"] == 40


@pytest.mark.slow
def test_a_model_of_two_torch_modules(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(few_trials(8), encoding="utf-8")
    arguments = ("evaluate", "--model", f"{EXAMPLES / 'wrapped_model.py'}:model", "--ogl")
    tiny = ("--protocol", "tiny.toml", "--sheet", "0", "--option", "seed=1")
    found = ssl_bench_json(*arguments, *tiny, folder=tmp_path)
    own, prior = found["model"]["parts"]
    assert (own["name"], own["options"]["seed"], prior["name"]) == ("two-encoders", 1, "ogl-l1")
    assert own["weights_sha256"]
    assert found["model"]["alpha"] == 0.4


@pytest.mark.slow
def test_maps_made_elsewhere(tmp_path: Path) -> None:
    for name, words in {
        "trials.json": ("--trials", "--json"),
        "meta.json": ("--meta", "my-model"),
    }.items():
        told = split_off(partial(main, ["protocols", "synth", *words]), tmp_path)
        assert told.code == 0, told.err
        (tmp_path / name).write_text(told.out)
    given = ("trials.json", "meta.json", "mine.npz")
    made = run_script(EXAMPLES / "maps_made_elsewhere.py", *given, folder=tmp_path)
    assert made.code == 0, made.err
    score = ("score", "mine.npz", "--protocol", "synth", "--sheet", "0")
    found = ssl_bench_json(*score, folder=tmp_path)
    assert found["model"]["name"] == "my-model"
    assert found["coverage"]["missing"] == []


def test_an_example_without_its_arguments_says_how_it_is_used(tmp_path: Path) -> None:
    words = [sys.executable, str(EXAMPLES / "maps_made_elsewhere.py")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: ")


@pytest.mark.slow
def test_a_package_of_its_own_is_known_by_name(tmp_path: Path) -> None:
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "wheel")
    run(sys.executable, *build, EXAMPLES / "plug-in", folder=tmp_path)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    site = tmp_path / "site"
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    run(sys.executable, *install, "--target", site, wheel, folder=tmp_path)
    (tmp_path / "tiny.toml").write_text(few_trials(40), encoding="utf-8")
    arguments = ("evaluate", "--model", "quiet-corner", "--protocol", "tiny.toml", "--sheet", "0")
    found = ssl_bench_json(*arguments, "--option", "loudness=0", folder=tmp_path, search=(site,))
    assert found["model"]["name"] == "quiet-corner"
    assert found["coverage"]["present"] == 40
