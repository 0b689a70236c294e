"""What is the same for every model is computed once, and is the same as if it were made anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from standins import folder_test_set, protocol, sample
from test_priors import Loud

import ssl_bench
from ssl_bench.engine import predict as engine
from ssl_bench.engine import priors
from ssl_bench.engine.encode import EngineOptions
from ssl_bench.engine.priors import predict_priors
from ssl_bench.files import CACHE_VARIABLE
from ssl_bench.models.contract import Localizer
from ssl_bench.protocols.protocol import ControlsTable, Protocol, TestSetTable
from ssl_bench.scoring.results import Result
from ssl_bench.trials.compositions import compose


def asked(count: int = 8) -> Protocol:
    return ssl_bench.load_protocol("concat").model_copy(
        update={
            "test_set": TestSetTable(name="synth", split="standard", options={"count": count}),
            "controls": ControlsTable(floors=("center", "full"), priors=("potential",)),
        }
    )


def evaluated(folder: Path, count: int = 8, **settings: Any) -> Result:
    return ssl_bench.evaluate(Loud(), asked(count), folder=folder, **settings).result


def numbers(result: Result) -> dict[str, Any]:
    return result.model_dump(exclude={"timings", "environment"})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that are run."""
    names: list[str] = []
    plain = engine.localize

    def localize(localizer: Localizer, *given: Any, **named: Any) -> Any:
        names.append(localizer.name)
        return plain(localizer, *given, **named)

    monkeypatch.setattr(engine, "localize", localize)
    return names


def files(cache: Path, *folders: str) -> set[Path]:
    return {path for each in folders for path in (cache / each).rglob("*") if path.is_file()}


def test_the_second_evaluation_runs_the_model_alone(
    cache: Path, predicted: list[str], tmp_path: Path
) -> None:
    first = evaluated(tmp_path / "first")
    kept = files(cache, "priors", "scores")
    second = evaluated(tmp_path / "second")
    assert predicted == ["loud", "potential", "loud"]
    assert numbers(first) == numbers(second)
    assert files(cache, "priors", "scores") == kept
    maps = [(tmp_path / each / "potential" / "predictions.npz") for each in ("first", "second")]
    assert maps[0].read_bytes() == maps[1].read_bytes()


@pytest.mark.slow
def test_without_the_cache_the_numbers_are_the_same_and_nothing_is_kept(
    cache: Path, predicted: list[str], tmp_path: Path
) -> None:
    plain = evaluated(tmp_path / "plain", use_cache=False)
    assert files(cache, "priors", "scores") == set()
    filled = evaluated(tmp_path / "filled")
    again = evaluated(tmp_path / "again", use_cache=False)
    assert numbers(plain) == numbers(filled) == numbers(again)
    assert predicted == ["loud", "potential"] * 3


@pytest.mark.slow
def test_what_is_damaged_is_made_again(cache: Path, predicted: list[str], tmp_path: Path) -> None:
    first = evaluated(tmp_path / "first")
    for number, damage in enumerate((b"", b"PK\x03\x04 no archive", b"{}", b"\xc9")):
        for path in files(cache, "priors", "scores"):
            path.write_bytes(damage)
        assert numbers(evaluated(tmp_path / f"again-{number}")) == numbers(first)
    evaluated(tmp_path / "last")
    assert predicted == ["loud", "potential"] * 5 + ["loud"]


@pytest.mark.slow
def test_what_belongs_to_another_key_is_made_anew(
    cache: Path, predicted: list[str], tmp_path: Path
) -> None:
    first = evaluated(tmp_path / "first")
    evaluated(tmp_path / "fewer", count=6)
    for suffix in (".npz", ".json", ".sha256"):
        for folder in ("priors", "scores"):
            kept = sorted(path for path in files(cache, folder) if path.suffix == suffix)
            contents = [path.read_bytes() for path in kept]
            for path, content in zip(kept, contents[1:] + contents[:1], strict=True):
                path.write_bytes(content)
    assert numbers(evaluated(tmp_path / "second")) == numbers(first)
    assert predicted.count("potential") == 3


def test_a_number_that_was_changed_is_not_believed(cache: Path, tmp_path: Path) -> None:
    first = evaluated(tmp_path / "first")
    for path in files(cache, "scores"):
        if path.suffix == ".json":
            text = path.read_text()
            assert '"value":0.' in text or '"value":1.' in text
            path.write_text(re.sub('"value":[01][.]', '"value":2.', text))
    assert numbers(evaluated(tmp_path / "second")) == numbers(first)


def test_another_batch_size_or_type_is_another_prediction(
    cache: Path, predicted: list[str], tmp_path: Path
) -> None:
    evaluated(tmp_path / "first")
    evaluated(tmp_path / "second", batch_size=2)
    evaluated(tmp_path / "third", dtype="float16")
    assert predicted.count("potential") == 3


# One part, and several.
@pytest.mark.parametrize("count", [8, pytest.param(140, marks=pytest.mark.slow)])
def test_a_cache_that_cannot_be_written_costs_time_alone(
    count: int, predicted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = numbers(evaluated(tmp_path / "first", count))
    taken = tmp_path / "taken"
    taken.write_text("a file where a folder should be")
    monkeypatch.setenv(CACHE_VARIABLE, str(taken))
    assert numbers(evaluated(tmp_path / "second", count)) == expected


def test_images_of_another_folder_are_other_images(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if one program had written both at once, and their ends were the same.
    monkeypatch.setattr(priors, "mark_of_file", lambda _path: "the same")
    prior = ssl_bench.load_localizer("potential")
    asked = protocol(controls=ControlsTable(priors=("potential",)))
    made = []
    for place in (tmp_path / "one", tmp_path / "other"):
        for kind in ("frames", "audio"):
            (place / kind).mkdir(parents=True)
        pixels = np.random.default_rng(len(made)).integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(place / "frames" / "a.png")
        trials = compose(asked, folder_test_set([sample("a")], place))
        given, run = {"potential": prior}, [(trials, place / "run")]
        found = predict_priors(run, given, EngineOptions())
        made.append(found[place / "run"]["potential"].read_bytes())
    assert made[0] != made[1]
    assert len(files(cache, "priors")) == 4


def test_another_model_s_class_of_the_same_name_is_not_kept(cache: Path, tmp_path: Path) -> None:
    class Mute(Loud):
        name = "potential"
        audio_blind = True

    trials = ssl_bench.open_trials(asked())
    options = EngineOptions()
    predict_priors([(trials, tmp_path / "run")], {"potential": Mute()}, options)
    assert files(cache, "priors") == set()
