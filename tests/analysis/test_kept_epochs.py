"""One training after several passes: the weights that were kept, and their maps."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from protocol_files import few_trials
from refusals import refused

import ssl_bench
from ssl_bench.analysis.chosen_trials import Choice
from ssl_bench.analysis.kept_epochs import epoch_runs, kept_epochs
from ssl_bench.cli.main import commands
from ssl_bench.figures import trial_pictures
from ssl_bench.figures.sheet import SheetRow
from ssl_bench.models.registry import load_baseline
from ssl_bench.predictions import open_predictions
from ssl_bench.training.record import read_record, write_record


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training of ten passes leaves that kept every fourth; all weights are the same."""
    shipped = load_baseline("ezvsl").shipped_weights()
    assert shipped is not None
    folder = tmp_path_factory.mktemp("trained")
    record = read_record(shipped[0].with_name("synth.training.json"))
    recipe = record.recipe.model_copy(update={"epochs": 10})
    write_record(record.model_copy(update={"recipe": recipe}), folder / "synth.training.json")
    for name in ("synth", "synth.epoch8", "synth.epoch4"):
        shutil.copyfile(shipped[0], folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def protocol(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("protocol") / "few.toml"
    path.write_text(few_trials(6))
    return str(path)


class TestKeptEpochs:
    def test_passes_are_in_order_and_end_with_the_last(self, trained: Path) -> None:
        kept = kept_epochs(trained)
        assert [each.number for each in kept] == [4, 8, 10]
        assert [each.weights.name for each in kept] == [
            "synth.epoch4.safetensors",
            "synth.epoch8.safetensors",
            "synth.safetensors",
        ]
        assert {(each.model, each.variant) for each in kept} == {("ezvsl", "synth")}

    def test_a_last_pass_that_was_kept_is_there_once(self, trained: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(trained, tmp_path / "all")
        shutil.copyfile(folder / "synth.safetensors", folder / "synth.epoch10.safetensors")
        assert [each.number for each in kept_epochs(folder)] == [4, 8, 10]

    def test_a_folder_without_them_is_refused(self, trained: Path, tmp_path: Path) -> None:
        with refused("E_EPOCHS_FOLDER", where=tmp_path):
            kept_epochs(tmp_path)
        shutil.copyfile(trained / "synth.training.json", tmp_path / "synth.training.json")
        with refused("E_EPOCHS_NONE", where="--keep-epochs"):
            kept_epochs(tmp_path)
        shutil.copyfile(trained / "synth.training.json", tmp_path / "flickr.training.json")
        with refused("E_EPOCHS_FOLDER", where="2 trainings"):
            kept_epochs(tmp_path)


class TestMaps:
    def test_only_chosen_trials_are_localized_where_no_score_chooses(
        self, trained: Path, protocol: str
    ) -> None:
        kept = kept_epochs(trained)[:1]
        trials = ssl_bench.open_trials(protocol)
        ids, category = trials.ids, trials[0].category
        members = sum(trial.category == category for trial in trials)
        for by, count in (
            (Choice(ids=(ids[3], ids[1])), 2),
            (Choice("random", 3), 3),
            (Choice("random", 6, where={"category": category}), members),
            (Choice("worst", 2), 6),
        ):
            with epoch_runs(kept, protocol, by) as [folder]:
                found = open_predictions(folder / "predictions.npz").trial_ids
            assert len(found) == count
        assert not folder.exists()

    def test_the_command_draws_a_column_for_each_pass(
        self, trained: Path, protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[tuple[str, list[str]]] = []
        draw = trial_pictures.draw_sheet

        def note(rows: Sequence[SheetRow], heads: Sequence[str], title: str = "") -> Figure:
            drawn.append((title, list(heads)))
            return draw(rows, heads, title)

        monkeypatch.setattr(trial_pictures, "draw_sheet", note)
        out = tmp_path / "passes.png"
        words = ("--epochs", str(trained), "--protocol", protocol, "--random", "2")
        done = CliRunner().invoke(commands, ["pictures", *words, "--out", str(out)])
        assert done.exit_code == 0, done.output
        title = "ezvsl on tiny@synth:standard, dialect canonical"
        assert drawn == [(title, ["epoch 4", "epoch 8", "epoch 10"])]
        assert out.is_file()
        again = ssl_bench.pictures(epochs=trained, protocol=protocol, count=2, out=out)
        assert len(again.trial_ids) == 2

    @pytest.mark.parametrize("words", [(), ("run", "--epochs", "f"), ("--epochs", "f")])
    def test_runs_or_passes_of_a_protocol_are_needed(self, words: tuple[str, ...]) -> None:
        done = CliRunner().invoke(commands, ["pictures", *words])
        assert done.exit_code == 2
        assert "--epochs" in done.output
