"""The package as a user of its functions meets it: paths as text, names for protocols."""

from __future__ import annotations

import importlib.metadata
import inspect
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

import ssl_bench
from ssl_bench.errors import DataError, WeightsError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run folder, as text."""
    folder = str(tmp_path_factory.mktemp("run"))
    done = ssl_bench.evaluate("center", "synth", folder=folder)
    assert done.folder == Path(folder)
    return folder


def test_the_public_names_are_listed_and_can_be_imported() -> None:
    assert {"evaluate", "score_file", "PredictionsMeta", "__version__"} <= set(dir(ssl_bench))
    assert dir(ssl_bench) == sorted(ssl_bench.__all__)
    for name in ssl_bench.__all__:
        assert getattr(ssl_bench, name) is not None
    with pytest.raises(AttributeError):
        _ = ssl_bench.nothing


def test_the_version_is_that_of_the_distribution() -> None:
    assert ssl_bench.__version__ == importlib.metadata.version("ssl-bench")


@pytest.mark.slow
def test_paths_may_be_text_and_protocols_names(run: str, tmp_path: Path) -> None:
    trials = ssl_bench.open_trials("synth")
    maps = f"{run}/predictions.npz"
    assert ssl_bench.open_predictions(maps).meta.model == "center"
    assert ssl_bench.score_file(maps, trials).result["cIoU@0.5"].value == 0.516
    assert ssl_bench.read_result(run) == ssl_bench.read_result(Path(run) / "result.json")
    assert ssl_bench.load_protocol(Path("concat")) == ssl_bench.load_protocol("concat")
    meta = trials.predictions_meta("mine")
    assert isinstance(meta, ssl_bench.PredictionsMeta)
    blank = np.zeros((1, 7, 7))
    ssl_bench.save_predictions(str(tmp_path / "a.npz"), trials.ids[:1], blank, meta)
    with ssl_bench.PredictionsWriter(str(tmp_path / "b.npz"), meta) as writer:
        writer.add(trials.ids[:1], blank)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.slow
def test_maps_are_saved_in_one_line(tmp_path: Path) -> None:
    trials = ssl_bench.open_trials("synth")
    maps = np.random.default_rng(0).random((len(trials), 5, 4))
    trials.save(f"{tmp_path}/mine.npz", maps, model="mine")
    scored = ssl_bench.score_file(tmp_path / "mine.npz", trials)
    assert scored.result.model.name == "mine"
    assert scored.result.coverage.present == 500
    with refused("E_MODEL_NAME"):
        trials.save(tmp_path / "other.npz", maps, model="two\nlines")


def test_bad_input_as_text_is_an_error_of_ours(tmp_path: Path) -> None:
    with refused(where="gone", kind=DataError):
        ssl_bench.open_test_set("vggss", data=str(tmp_path / "gone"))
    with refused(where="gone.pth", kind=WeightsError):
        ssl_bench.load_localizer("ezvsl", weights=str(tmp_path / "gone.pth"))


def test_a_misspelt_keyword_is_a_type_error_with_a_remedy() -> None:
    with pytest.raises(TypeError, match=r"evaluate: .*'sed'.*'seed'"):
        ssl_bench.evaluate("center", "synth", sed=0)  # type: ignore[call-arg]


def test_every_public_name_has_an_example() -> None:
    lacking = []
    for module in (ssl_bench, ssl_bench.measures):
        for name in module.__all__:
            each = getattr(module, name)
            if callable(each) and inspect.getmodule(each) is not None and name != "Features":
                text = inspect.getdoc(each) or ""
                lacking += [name] if "Examples\n--------" not in text else []
                lacking += (
                    [name] if inspect.isfunction(each) and "Raises\n------" not in text else []
                )
    assert lacking == []
