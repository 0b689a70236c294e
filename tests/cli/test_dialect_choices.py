"""Dialects that leave a choice, at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from standins import predictions_of

from ssl_bench.cli.main import commands
from ssl_bench.errors import ProtocolError
from ssl_bench.files import content_folder
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.statistics import bootstrap
from ssl_bench.trials.compositions import open_trials


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """No interval is read here."""
    monkeypatch.setattr(bootstrap, "FEWER_RESAMPLES", 10)


@pytest.fixture(scope="module")
def protocol(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The protocol negative-audio with a few samples."""
    text = (content_folder("protocols") / "negative-audio.toml").read_text()
    path = tmp_path_factory.mktemp("protocols") / "few.toml"
    alone, _, _ = text.partition("[controls]")  # without priors, of which nothing is asked here
    path.write_text(alone.replace("count = 500", "count = 10"))
    return path


@pytest.fixture(scope="module")
def predictions(protocol: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    trials = open_trials(load_protocol(str(protocol)))
    assert len(trials) == 40
    maps = np.random.default_rng(0).normal(0, 10, (len(trials), 7, 7)).astype(np.float32)
    return predictions_of(trials, maps, tmp_path_factory.mktemp("maps") / "m.npz", model="slavc")


def score(predictions: Path, protocol: Path, *options: str) -> Result:
    arguments = ["score", str(predictions), "--protocol", str(protocol), *options]
    return CliRunner().invoke(commands, arguments)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["vssl:ezvsl", "acl-half", "acl-half:16"])
def test_the_choice_is_part_of_the_name(predictions: Path, protocol: Path, dialect: str) -> None:
    done = score(predictions, protocol, "--dialect", dialect, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["protocol"]["dialect"] == dialect


@pytest.mark.slow
def test_constants_of_another_model_give_other_figures(predictions: Path, protocol: Path) -> None:
    area = {}
    for model in ("ezvsl", "slavc", "lvs"):
        done = score(predictions, protocol, "--dialect", f"vssl:{model}", "--json")
        measures = json.loads(done.stdout)["measures"]
        area[model] = next(each["value"] for each in measures if each["measure"] == "pIA")
    assert len(set(area.values())) == 3
    assert area["ezvsl"] < area["slavc"]


@pytest.mark.parametrize(
    ("dialect", "problem"),
    [("vssl", "vssl:ezvsl"), ("vssl:resnet", "no choice 'resnet'"), ("acl-half:0", "acl-half:N")],
)
def test_a_wrong_choice_names_the_right_ones(
    predictions: Path, protocol: Path, dialect: str, problem: str
) -> None:
    done = score(predictions, protocol, "--dialect", dialect)
    assert isinstance(done.exception, ProtocolError)
    assert problem in str(done.exception)


@pytest.mark.slow
def test_all_take_the_constants_of_the_files_own_model(predictions: Path, protocol: Path) -> None:
    done = score(predictions, protocol, "--dialect", "all", "--json")
    rows = json.loads(done.stdout)
    assert "vssl:slavc" in {row["dialect"] for row in rows}
    assert "vssl:ezvsl" not in {row["dialect"] for row in rows}


@pytest.mark.slow
def test_a_model_without_constants_is_told_how_to_take_anothers(
    protocol: Path, tmp_path: Path
) -> None:
    trials = open_trials(load_protocol(str(protocol)))
    maps = np.random.default_rng(0).normal(size=(len(trials), 7, 7)).astype(np.float32)
    path = predictions_of(trials, maps, tmp_path / "mine.npz", model="mine")
    text = " ".join(score(path, protocol, "--dialect", "all").stdout.split())
    assert "Left out vssl: no constants for a model named 'mine'" in text
    assert "--dialect vssl:MODEL" in text


def test_the_listing_says_what_can_be_chosen() -> None:
    text = CliRunner().invoke(commands, ["protocols"]).stdout
    assert "vssl:MODEL" in text
    assert "acl-half[:N]" in text
    assert "dsol[:duet|solo]" in text


@pytest.mark.slow
def test_tables_show_every_figure_whole(predictions: Path, protocol: Path) -> None:
    printed = score(predictions, protocol, "--dialect", "all").stdout
    rows = json.loads(score(predictions, protocol, "--dialect", "all", "--json").stdout)
    words = printed.split()
    for row in rows:
        assert row["dialect"] in words
        assert row["measure"] in words
        if row["value"] is not None:
            assert f"{100 * row['value']:.1f}" in words
    assert "…" not in printed
