"""What a shell completes: commands, options, and the names of what they take."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import get_completion_class
from command_line import Call

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import COMPLETION_VARIABLE
from ssl_bench.cli.main import commands
from ssl_bench.measures.values import DEFINITIONS, parse_measure
from ssl_bench.protocols.protocol import dialect_names, protocol_names, suite_names
from ssl_bench.testsets import definitions

_SHELLS = ("bash", "zsh", "fish")


def _completed(line: str, shell: str = "zsh") -> list[str]:
    """What a shell is told that the last word of a line may be."""
    kind = get_completion_class(shell)
    assert kind is not None
    *words, last = line.split(" ")
    asked = kind(commands, {}, "ssl-bench", COMPLETION_VARIABLE)
    return [each.value for each in asked.get_completions(words[1:], last) if each.type == "plain"]


@pytest.mark.parametrize(
    ("line", "some", "others"),
    [
        ("ssl-bench ", ("evaluate", "completion"), ()),
        ("ssl-bench data ", ("verify", "audit"), ()),
        ("ssl-bench evaluate --mod", ("--model",), ("--protocol",)),
        ("ssl-bench evaluate --model ", ("ezvsl", "center"), ("synth",)),
        ("ssl-bench evaluate --model ez", ("ezvsl",), ("center",)),
        ("ssl-bench evaluate --model ezvsl --variant ", ("synth", "full"), ()),
        ("ssl-bench evaluate --protocol ", (*protocol_names(), *suite_names(), "all"), ()),
        ("ssl-bench evaluate --protocol concat,", ("concat,synth",), ("synth",)),
        ("ssl-bench score x --protocol concat@", ("concat@vggss",), ("concat",)),
        ("ssl-bench score x --protocol synth@vggss:", ("synth@vggss:heard",), ("synth@vggss",)),
        ("ssl-bench score x --dialect ", (*dialect_names(), "all"), ()),
        ("ssl-bench score x --dialect vssl:", ("vssl:ezvsl",), ("vssl",)),
        ("ssl-bench score x --measure cI", ("cIoU@0.5",), ("AUC",)),
        ("ssl-bench measures AU", ("AUC",), ("cIoU@0.5",)),
        ("ssl-bench protocols con", ("concat",), ("synth",)),
        ("ssl-bench models ez", ("ezvsl",), ("lvs",)),
        ("ssl-bench localize a.jpg b.wav --model ezvsl --variant f", ("full",), ("synth",)),
        ("ssl-bench train --model ezvsl --held-out vgg", ("vggss",), ("concat",)),
        ("ssl-bench data verify vgg", ("vggss", "vgg-instruments"), ("synth",)),
        ("ssl-bench compare ez", ("ezvsl", "ezvsl-ogl"), ("center",)),
        ("ssl-bench analyse leaderboard:concat/ez", ("leaderboard:concat/ezvsl",), ("ezvsl",)),
        ("ssl-bench leaderboard check --entry ez", ("ezvsl",), ("center",)),
        ("ssl-bench leaderboard withdraw ez", ("ezvsl",), ("center",)),
    ],
)
def test_names_are_completed(line: str, some: tuple[str, ...], others: tuple[str, ...]) -> None:
    found = _completed(line)
    assert set(some) <= set(found)
    assert not set(others) & set(found)


@pytest.mark.parametrize("shell", _SHELLS)
def test_every_shell_gets_the_names(shell: str) -> None:
    assert "ezvsl" in _completed("ssl-bench predict --model e", shell)


def test_run_folders_and_test_sets_of_ones_own_are_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
    for file in ("runs/mine/result.json", "data/kitchen/testset.toml"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    assert _completed("ssl-bench compare runs/m") == ["runs/mine"]
    assert _completed("ssl-bench data verify kit") == ["kitchen"]
    assert _completed("ssl-bench data verify nothing-like-it") == []


def test_a_variant_of_a_damaged_recipe_is_not_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "recipe.toml").write_text("[")
    monkeypatch.setattr(candidates, "content_folder", lambda _name: tmp_path)
    assert _completed("ssl-bench predict --model bad --variant ") == []


def test_every_test_set_and_measure_of_the_package_is_known() -> None:
    context = click.Context(click.Command("x"))
    assert set(candidates.named_test_sets(context, "")) >= set(definitions())
    known = [parse_measure(each) for each in candidates.measures(context, "")]
    plain = {each.name for each in DEFINITIONS.values() if not each.needs_variant}
    assert {each.definition.name for each in known} == plain


def test_no_numerical_library_is_loaded_for_a_name() -> None:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print({'numpy', 'torch', 'pydantic'} & set(sys.modules)))\n"
        "from ssl_bench.cli.main import main\n"
        "main([])"
    )
    words = {"COMP_WORDS": "ssl-bench evaluate --protocol retr", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **words, COMPLETION_VARIABLE: "zsh_complete"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["plain", "retrieval", "_", "set()"], done.stderr


@pytest.mark.parametrize("shell", _SHELLS)
def test_the_script_of_a_shell(call: Call, shell: str) -> None:
    done = call("completion", shell)
    assert done.code == 0
    assert f"{COMPLETION_VARIABLE}={shell}_complete" in done.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.out, text=True, check=True)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        # Bash replaces what follows the last @ or : alone.
        ("ssl-bench evaluate --protocol concat@vggss-", "vggss-duet"),
        ("ssl-bench score x --protocol synth@vggss:h", "heard"),
        ("ssl-bench compare leaderboard:concat/center", "concat/center"),
        ("ssl-bench evaluate --model=ezv", "ezvsl"),
    ],
)
def test_in_bash(call: Call, tmp_path: Path, line: str, told: str) -> None:
    script = call("completion", "bash").out
    function = re.search(r"^(\w+)\(\)", script)
    assert function is not None
    program = tmp_path / "ssl-bench"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ssl_bench "$@"\n')
    program.chmod(0o755)
    asked = (
        f'{script}\nCOMP_LINE="{line}"; COMP_POINT={len(line)}\n{function[1]} "{program}"\n'
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", asked], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [told], done.stderr
