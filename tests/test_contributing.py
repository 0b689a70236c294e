"""The examples that CONTRIBUTING prints, run as they stand.

A block of a file starts with a comment that names it. All of them are written into one copy of the
checkout, with no edit elsewhere; then the commands printed beside them run there, one by one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PLACE = re.compile(r"# ([\w./-]+)")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "CONTRIBUTING.md").is_file(), reason="it is part of a checkout"),
]


def blocks() -> list[tuple[str, str, str]]:
    """Heading, language and text of every block under a heading that begins with Adding."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return [
        (section.splitlines()[0], *block)
        for section in sections
        if section.startswith("Adding")
        for block in BLOCK.findall(section)
    ]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout that holds every printed file."""
    copy = tmp_path_factory.mktemp("contributed")
    for name in ("ssl_bench", "protocols", "baselines", "tests", "benchmarks", "docs"):
        # With what numba has compiled, which takes long to do again.
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.pyc", "made"))
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copyfile(ROOT / name, copy / name)
    (copy / "leaderboard").mkdir()
    for name in ("published.csv", "papers.toml"):
        shutil.copyfile(ROOT / "leaderboard" / name, copy / "leaderboard" / name)
    for _, language, text in blocks():
        place = PLACE.match(text)
        if language != "sh" and place:
            (copy / place[1]).parent.mkdir(parents=True, exist_ok=True)
            assert not (copy / place[1]).exists(), f"{place[1]} is there already"
            # A table has no comments.
            content = text.split("\n", 1)[1] if language == "csv" else text
            (copy / place[1]).write_text(content, encoding="utf-8")
    return copy


def run(checkout: Path, *command: str) -> None:
    settings = {**os.environ, "PYTHONPATH": str(checkout)}
    settings.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=checkout, env=settings, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"


# Loading the copy takes longer than most of its commands, so each is split off from one process
# that has loaded it. A line names a command; a line answers with its exit code and what it printed.
LOADED = """
import json, os, sys, tempfile, traceback
import ssl_bench.analysis.evaluation, ssl_bench.models.ezvsl
from ssl_bench.cli.main import main

for line in sys.stdin:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = 1
            try:
                main(json.loads(line))
                code = 0
            except SystemExit as stop:
                code = int(stop.code or 0)
            except Exception:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        print(json.dumps([code, out.read(), err.read()]), flush=True)
"""

Command = Callable[..., str]


@pytest.fixture(scope="module")
def command(checkout: Path) -> Iterator[Command]:
    """Runs a command of the copy, given as its words; what it printed."""
    start = subprocess.Popen(
        [sys.executable, "-c", LOADED],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with start as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answered = process.stdin, process.stdout

        def call(*words: str) -> str:
            print(json.dumps(words), file=asked, flush=True)
            code, out, err = json.loads(answered.readline())
            assert code == 0, f"{shlex.join(words)}\n{out}{err}"
            return str(out)

        yield call


def result(command: Command, checkout: Path, model: str, protocol: str) -> dict[str, Any]:
    folder = checkout / "runs" / f"{model}-{protocol}"
    options = ("--sheet", "0", "--json", "--out", str(folder))
    printed = command("evaluate", "--model", model, "--protocol", protocol, *options)
    document: dict[str, Any] = json.loads(printed)
    return document


NETWORK = """
from ssl_bench.models.ezvsl import EZVSL, EZVSLNetwork


class Network(EZVSLNetwork):
    pass


class Mine(EZVSL):
    baseline = "mine"
    network = Network
"""


COMMANDS = [
    (heading, line)
    for heading, language, text in (blocks() if (ROOT / "CONTRIBUTING.md").is_file() else [])
    if language == "sh"
    for line in text.splitlines()
]


@pytest.mark.parametrize(("heading", "line"), COMMANDS, ids=[line for _, line in COMMANDS])
def test_a_printed_command_runs(command: Command, checkout: Path, heading: str, line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    if program == "ssl-bench":
        command(*arguments)
    else:
        run(checkout, program, *arguments)


def test_every_kind_of_contribution_is_printed() -> None:
    headings = {heading for heading, language, _ in blocks() if language != "sh"}
    kinds = ("protocol", "composition", "measure", "dialect", "trivial baseline", "test set")
    assert {kind for kind in kinds if f"Adding a {kind}" not in headings} == set()


def test_a_new_measure_has_the_ceiling_of_the_rule(command: Command, checkout: Path) -> None:
    """Whatever the model, and not below any floor."""
    center, random = (
        result(command, checkout, name, "synth-centroid") for name in ("center", "random")
    )
    assert center["ceiling"] == random["ceiling"]

    def centroid(reference: dict[str, Any]) -> float:
        (found,) = (v["value"] for v in reference["measures"] if v["measure"] == "centroid")
        return float(found)

    assert centroid(center["ceiling"]) == 1.0 >= max(map(centroid, center["floors"]))


def test_a_trained_baseline_is_one_folder_and_its_network(command: Command, checkout: Path) -> None:
    """The small EZ-VSL under another name, with a network of its own that does the same."""
    folder, shipped = checkout / "baselines" / "mine", checkout / "baselines" / "ezvsl"
    shutil.copytree(shipped, folder)
    for name, old, new in (
        ("card.toml", 'name = "ezvsl"', 'name = "mine"'),
        ("card.toml", 'title = "EZ-VSL"', 'title = "Mine"'),
        ("recipe.toml", "ssl_bench.models.ezvsl:EZVSL", "localizer.py:Mine"),
    ):
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    (folder / "localizer.py").write_text(NETWORK, encoding="utf-8")
    own, theirs = (result(command, checkout, name, "concat-small") for name in ("mine", "ezvsl"))
    assert own["model"]["name"] == "mine"
    assert own["measures"] == theirs["measures"]
    shutil.rmtree(folder)


def test_the_tests_of_the_package_pass_with_all_of_it(checkout: Path) -> None:
    tests = ("protocols", "measures/test_values.py", "models/test_cards.py", "test_layers.py")
    run(checkout, "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in tests))
