"""What people install: the wheel, what it holds, and what its commands load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from protocol_files import few_trials

import ssl_bench

ROOT = Path(__file__).parent.parent

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

RUN_AND_LIST_MODULES = """
import atexit, sys
atexit.register(lambda: print("loaded:", *sys.modules, file=sys.stderr))
from ssl_bench.cli import main
main(sys.argv[1:])
"""


def run(
    *command: str | Path, folder: Path, search: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with the package found in `search` where it is given."""
    settings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if search is not None:
        settings["PYTHONPATH"] = str(search)
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def loaded_modules(*arguments: str | Path, folder: Path) -> set[str]:
    """Names of the modules that a process has loaded after one command of ssl-bench."""
    start = (sys.executable, "-c", RUN_AND_LIST_MODULES)
    done = run(*start, *arguments, folder=folder, search=Path(ssl_bench.__file__).parent.parent)
    listed = [line for line in done.stderr.splitlines() if line.startswith("loaded:")]
    return set(listed[-1].split()[1:])


def pins(name: str) -> Mapping[str, str]:
    """Version that a file of requirements pins, by package."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in pairs}


def requirements(*extras: str) -> list[Requirement]:
    """Requirements of the package and of some of its extras, with the extras that those name."""
    optional = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in optional[extra])]
    found: list[Requirement] = []
    for each in map(Requirement, texts):
        inner = each.name == PROJECT["name"]
        found += requirements(*sorted(each.extras)) if inner else [each]
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    run(sys.executable, *build, folder=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["protocols", "baselines"])
def test_the_wheel_holds_a_content_folder_whole(folder: str, wheel_names: set[str]) -> None:
    files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert files
    assert {f"ssl_bench/content/{path.relative_to(ROOT).as_posix()}" for path in files} == {
        name for name in wheel_names if name.startswith(f"ssl_bench/content/{folder}/")
    }


def test_the_wheel_holds_no_entry_of_the_leaderboard(wheel_names: set[str]) -> None:
    folder = "ssl_bench/content/leaderboard"
    assert {name for name in wheel_names if name.startswith(f"{folder}/")} == {
        f"{folder}/README.md",
        f"{folder}/published.csv",
        f"{folder}/papers.toml",
        f"{folder}/reproduced.json",
    }


def test_the_wheel_holds_the_weights_that_its_recipes_name(wheel_names: set[str]) -> None:
    named = {
        f"ssl_bench/content/baselines/{recipe.parent.name}/{variant['weights']['file']}"
        for recipe in (ROOT / "baselines").glob("*/recipe.toml")
        for variant in tomllib.loads(recipe.read_text(encoding="utf-8"))["variants"].values()
        if "weights" in variant
    }
    assert named
    assert named - wheel_names == set()


def test_the_wheel_holds_every_module_and_the_mark_of_types(wheel_names: set[str]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ssl_bench").rglob("*.py")}
    assert modules - wheel_names == set()
    assert "ssl_bench/py.typed" in wheel_names


def test_the_wheel_holds_nothing_but_the_package_and_its_licence(wheel_names: set[str]) -> None:
    described = f"ssl_bench-{PROJECT['version']}.dist-info"
    assert {name.partition("/")[0] for name in wheel_names} == {"ssl_bench", described}
    assert f"{described}/licenses/LICENSE" in wheel_names


def keep_compiled(site: Path) -> None:
    """Give an installed package what numba has compiled of this one, which takes long to do again.

    numba takes it for that of a source of equal time and size.
    """
    for source in Path(ssl_bench.__file__).parent.rglob("*.py"):
        compiled = list(source.parent.glob(f"__pycache__/{source.stem}.*.nb[ci]"))
        if compiled:
            copy = site / "ssl_bench" / source.relative_to(Path(ssl_bench.__file__).parent)
            assert copy.read_bytes() == source.read_bytes()
            shutil.copystat(source, copy)
            copy.parent.joinpath("__pycache__").mkdir(exist_ok=True)
            for each in compiled:
                shutil.copy2(each, copy.parent / "__pycache__")


@pytest.mark.slow
def test_an_installed_wheel_works_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    run(sys.executable, *install, "--target", site, wheel, folder=empty)
    start = partial(run, folder=empty, search=site)
    where = "import ssl_bench; print(ssl_bench.__file__)"
    assert Path(start(sys.executable, "-c", where).stdout.strip()).is_relative_to(site)

    command = site / "bin" / "ssl-bench"
    listed = json.loads(start(command, "protocols", "--json").stdout)
    shipped = {path.stem for path in (ROOT / "protocols").glob("*.toml")}
    assert {protocol["name"] for protocol in listed} == shipped
    figures = "from ssl_bench.leaderboard.published import *; print(len(read_published()))"
    assert int(start(sys.executable, "-c", figures).stdout) > 0
    settings = {**os.environ, "PYTHONPATH": str(site)}
    refused = subprocess.run(
        [command, "leaderboard", "check"], cwd=empty, env=settings, capture_output=True, text=True
    )
    assert (refused.returncode, "Give --board DIR" in refused.stderr) == (2, True)
    keep_compiled(site)
    own = tmp_path / "board/submissions/retrieval/icl"
    shutil.copytree(ROOT / "leaderboard/submissions/retrieval/icl", own)
    start(command, "leaderboard", "build", "--board", tmp_path / "board", "--no-media")
    assert (tmp_path / "board/site/entries/retrieval/icl.html").is_file()
    protocol = tmp_path / "tiny.toml"
    protocol.write_text(few_trials(12), encoding="utf-8")
    start(command, "evaluate", "--model", "center", "--protocol", protocol, "--sheet", "0")
    assert {path.name for path in empty.rglob("*") if path.is_file()} == {
        "predictions.npz",
        "result.json",
        "scores.npz",
    }


def test_help_loads_no_numerical_library(tmp_path: Path) -> None:
    numerical = {"torch", "numpy", "pandas", "matplotlib", "scipy", "numba", "cv2"}
    loaded = loaded_modules("--help", folder=tmp_path)
    assert "click" in loaded
    assert loaded & numerical == set()


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a protocol of a few trials, and predictions for it."""
    folder = tmp_path_factory.mktemp("predicted")
    (folder / "few.toml").write_text(few_trials(12))
    trials = ssl_bench.open_trials(ssl_bench.load_protocol(folder / "few.toml"))
    maps = np.random.default_rng(0).random((len(trials), 7, 7))
    trials.save(folder / "predictions.npz", maps, model="noise")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("dialect", [(), ("--dialect", "all")], ids=["canonical", "all dialects"])
def test_scoring_never_loads_torch(dialect: tuple[str, ...], predicted: Path) -> None:
    score = ("score", predicted / "predictions.npz", "--protocol", predicted / "few.toml", *dialect)
    loaded = loaded_modules(*score, folder=predicted)
    assert "ssl_bench.scoring.run" in loaded
    assert "torch" not in loaded


def test_the_command_is_an_entry_point() -> None:
    (point,) = entry_points(group="console_scripts", name="ssl-bench")
    assert point.value == PROJECT["scripts"]["ssl-bench"]
    assert callable(point.load())


def test_every_requirement_is_pinned_within_its_range() -> None:
    pinned = pins("constraints.txt")
    for requirement in requirements("test", "dev", "docs"):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} has no pin in constraints.txt"
        assert requirement.specifier.contains(pinned[name]), f"{name} {pinned[name]}"


def test_the_minimum_versions_are_the_lower_ends_of_the_ranges() -> None:
    lower_ends = {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix(">=")
        for requirement in requirements("test")
    }
    assert pins("minimum.txt") == lower_ends
