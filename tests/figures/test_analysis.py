"""A run folder becomes numbers and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn import is_blank, is_cut_off, pixels_of
from PIL import Image
from protocol_files import few_trials
from refusals import refused

from ssl_bench.analysis.evaluation import evaluate
from ssl_bench.cli.main import main
from ssl_bench.errors import PredictionsError
from ssl_bench.figures.analysis import analyse_runs
from ssl_bench.figures.analysis_figure import draw_analysis, draw_categories
from ssl_bench.figures.analysis_numbers import Series, analyse_scores, part
from ssl_bench.files import content_folder, sha256_of_file
from ssl_bench.scoring.results import read_result, write_result
from ssl_bench.scoring.score_file import read_scores, write_scores

PROTOCOL = few_trials(24, ["full", "center"])


@pytest.fixture(scope="module")
def protocol(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("protocol") / "tiny.toml"
    path.write_text(PROTOCOL)
    return path


@pytest.fixture(scope="module")
def run(protocol: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    evaluate("random", str(protocol), folder=folder)
    return folder


class TestRun:
    @pytest.mark.slow
    def test_it_writes_numbers_and_pictures(
        self, run: Path, protocol: Path, tmp_path: Path
    ) -> None:
        done = analyse_runs([run], tmp_path, protocol=str(protocol))
        names = [path.name for path in done.files]
        assert names == ["analysis.csv", "analysis.png", "categories.png"]
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
        assert not is_blank(pixels_of(tmp_path / "analysis.png"))
        assert not is_blank(pixels_of(tmp_path / "categories.png"))
        read = pd.read_csv(tmp_path / "analysis.csv")
        assert len(read) == len(done.table)
        assert read["value"].tolist() == pytest.approx(done.table["value"].tolist())

    @pytest.mark.slow
    @pytest.mark.parametrize("dialect", [None, "acl-half:8"])
    def test_audio_blind_maps_have_a_threshold_of_their_own(
        self, dialect: str | None, tmp_path: Path
    ) -> None:
        """Where it is found on other maps: on the audio-blind ones."""
        path = tmp_path / "few.toml"
        text = (content_folder("protocols") / "negative-audio.toml").read_text()
        path.write_text(text.replace("count = 500", "count = 10"))
        folder = tmp_path / "run"
        done = evaluate("ezvsl", str(path), folder=folder, dialect=dialect)
        table = analyse_runs([folder], tmp_path / "out", protocol=str(path)).table
        blind = table[(table["series"] == "its audio-blind map") & (table["measure"] == "cIoU@0.5")]
        assert done.result.vision_only is not None
        expected = {each.measure: each.value for each in done.result.vision_only.measures}
        assert blind["value"].iloc[0] == pytest.approx(expected["cIoU@0.5"])

    @pytest.mark.slow
    def test_its_numbers_are_those_of_the_result(
        self, run: Path, protocol: Path, tmp_path: Path
    ) -> None:
        done = analyse_runs([run], tmp_path, protocol=str(protocol))
        result = read_result(run / "result.json")
        overall = part(done.table, "overall").set_index(["series", "measure"])["value"]
        floor = max(result.floors, key=lambda each: each.measures[0].value or 0)
        assert result.ceiling is not None
        for series, values in (
            ("random", result.measures),
            (f"floor: {floor.name}", floor.measures),
            ("ceiling of the rule", result.ceiling.measures),
        ):
            for value in values:
                assert overall[series, value.measure] == pytest.approx(value.value)
        half = part(done.table, "threshold rule").set_index(["level", "measure"])["value"]
        assert half["half", "cIoU@0.5"] == pytest.approx(result["cIoU@0.5"].value)

    @pytest.mark.slow
    def test_scores_alone_need_no_test_set(self, run: Path, tmp_path: Path) -> None:
        done = analyse_runs([run], tmp_path, scores_only=True)
        assert set(done.table["series"]) == {"random"}
        assert "threshold rule" not in set(done.table["analysis"])

    @pytest.mark.slow
    def test_the_same_run_gives_the_same_bytes(self, run: Path, tmp_path: Path) -> None:
        for name in ("a", "b"):
            analyse_runs([run], tmp_path / name, scores_only=True)
        for name in ("analysis.csv", "analysis.png", "categories.png"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


class TestSeveral:
    def test_they_share_one_figure_with_the_best_prior_floor_and_ceiling(
        self, runs: dict[str, Path], few_protocol: str, tmp_path: Path
    ) -> None:
        chosen = [runs["ezvsl"], runs["guided"], runs["center"]]
        names = ("plain", "guided", "a $centre")
        done = analyse_runs(chosen, tmp_path, protocol=few_protocol, labels=names, ending="svg")
        assert [path.name for path in done.files] == ["analysis.csv", "analysis.svg"]
        kinds = dict(zip(done.table["series"], done.table["kind"], strict=True))
        assert kinds == {
            **dict.fromkeys(names, "model"),
            "best prior: ogl-l1": "prior",
            "floor: center": "floor",
            "ceiling of the rule": "ceiling",
        }
        overall = part(done.table, "overall").set_index(["series", "measure"])["value"]
        for name, folder in zip(names, chosen, strict=True):
            assert overall[name, "AUC"] == pytest.approx(read_result(folder)["AUC"].value)
        prior = read_result(runs["ezvsl"]).priors[0]
        assert overall["best prior: ogl-l1", "AUC"] == pytest.approx(prior.measures[1].value)
        drawn = (tmp_path / "analysis.svg").read_text()
        for name in kinds:
            assert f">{name} (AUC {100 * overall[name, 'AUC']:.1f})</text>" in drawn

    def test_runs_of_other_questions_are_refused(
        self, run: Path, runs: dict[str, Path], tmp_path: Path
    ) -> None:
        with refused("E_COMPARE_DIFFERENT"):
            analyse_runs([run, runs["center"]], tmp_path / "out", scores_only=True)
        assert not list(tmp_path.iterdir())

    def test_an_analysis_in_a_folder_of_its_own_is_not_replaced_unasked(
        self, runs: dict[str, Path], tmp_path: Path
    ) -> None:
        given = ["analyse", str(runs["ezvsl"]), str(runs["center"]), "--scores-only"]
        given += ["--out", str(tmp_path / "out")]
        main(given)
        with pytest.raises(SystemExit):
            main(given)
        main([*given, "--overwrite", "--format", "pdf"])
        names = {path.name for path in (tmp_path / "out").iterdir()}
        assert names == {"analysis.csv", "analysis.png", "analysis.pdf"}

    def test_nothing_is_cut_off_however_many_and_long_the_names(self, tmp_path: Path) -> None:
        one = many(2, 10)
        tables = [
            one.assign(series=f"{number} {'long name ' * (number % 4 * 6)}") for number in range(14)
        ]
        draw_analysis(tmp_path / "a.png", pd.concat(tables, ignore_index=True), "title " * 60)
        assert not is_cut_off(pixels_of(tmp_path / "a.png"))


class TestBadInput:
    def copy(self, run: Path, folder: Path, *names: str) -> Path:
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes((run / name).read_bytes())
        return folder

    def rewrite(self, folder: Path, table: pd.DataFrame) -> None:
        write_scores(folder / "scores.npz", table)
        digest = {"scores_sha256": sha256_of_file(folder / "scores.npz")}
        result = read_result(folder).model_copy(update=digest)
        write_result(folder / "result.json", result)

    @pytest.mark.parametrize("missing", ["scores.npz", "result.json"])
    def test_a_run_without_a_file(self, missing: str, run: Path, tmp_path: Path) -> None:
        kept = {"scores.npz", "result.json"} - {missing}
        folder = self.copy(run, tmp_path / "run", *kept)
        with refused("E_FILE_MISSING", where=missing):
            analyse_runs([folder])
        assert {item.name for item in folder.iterdir()} == kept

    def test_a_run_without_predictions(self, run: Path, protocol: Path, tmp_path: Path) -> None:
        folder = self.copy(run, tmp_path / "run", "scores.npz", "result.json")
        with refused(where="predictions.npz", kind=PredictionsError):
            analyse_runs([folder], None, protocol=str(protocol))
        assert not (folder / "analysis").exists()

    def test_a_protocol_that_has_changed(self, run: Path, protocol: Path, tmp_path: Path) -> None:
        changed = tmp_path / "tiny.toml"
        changed.write_text(PROTOCOL.replace("version = 1", "version = 2"))
        with refused("E_PROTOCOL_CHANGED", where="result.json"):
            analyse_runs([run], tmp_path / "out", protocol=str(changed))

    def test_scores_without_localization(self, run: Path, tmp_path: Path) -> None:
        folder = self.copy(run, tmp_path / "run", "scores.npz", "result.json")
        table = read_scores(folder / "scores.npz")
        self.rewrite(folder, table.drop(columns="cIoU"))
        with refused("E_SCORES_COLUMNS", where="scores.npz"):
            analyse_runs([folder])
        self.rewrite(folder, table.assign(sounding=False))
        with refused("E_SCORES_SILENT", where="scores.npz"):
            analyse_runs([folder])

    def test_a_folder_that_cannot_be_written(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("")
        with pytest.raises(OSError, match="taken"):
            analyse_runs([run], tmp_path / "taken" / "out", scores_only=True)


def many(categories: int, trials: int, name: str = "kind") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    count = categories * trials
    table = pd.DataFrame(
        {
            "trial_id": [f"t{number}" for number in range(count)],
            "group": [f"t{number}" for number in range(count)],
            "category": [f"{name} {number % categories:04d}" for number in range(count)],
            "present": True,
            "sounding": True,
            "cIoU": rng.random(count),
        }
    )
    return analyse_scores([Series("a $model_", "model", table)])


class TestAttributes:
    def table(self, **attributes: object) -> pd.DataFrame:
        rng = np.random.default_rng(0)
        facts = pd.DataFrame(
            {
                "trial_id": [f"t{number}" for number in range(60)],
                "group": [f"t{number}" for number in range(60)],
                "category": "dog",
                "present": True,
                "sounding": True,
                "cIoU": rng.random(60),
                **attributes,
            }
        )
        return analyse_scores(
            [Series("mine", "model", facts), Series("floor: center", "floor", facts)]
        )

    def drawn(self, path: Path, table: pd.DataFrame) -> list[str]:
        """What is written into the figure."""
        draw_analysis(path, table, "title")
        return re.findall(r">([^<]*)</text>", path.read_text())

    def test_each_has_a_panel_with_its_values(self, tmp_path: Path) -> None:
        table = self.table(n_capable=[1, 2, 3] * 20, my_scene=["in $x", "out"] * 30)
        texts = self.drawn(tmp_path / "a.svg", table)
        assert {"how many could sound", "my scene", "in $x", "out", "n = 30", "(c)"} <= set(texts)
        assert "(d)" not in texts

    def test_one_that_splits_as_an_earlier_one_or_has_many_values_has_none(
        self, tmp_path: Path
    ) -> None:
        values = ["x", "y"] * 30
        table = self.table(first=values, again=values, many=[f"v{row % 9}" for row in range(60)])
        texts = self.drawn(tmp_path / "a.svg", table)
        assert "first" in texts
        assert not {"again", "many"} & set(texts)
        assert set(part(table, "again")["level"]) == {"x", "y"}

    def test_many_with_long_values_are_not_cut_off(self, tmp_path: Path) -> None:
        long = {
            f"attribute_{number}": np.roll([f"{v} {'long ' * 9}" for v in "abcdef"] * 10, number)
            for number in range(20)
        }
        for name in long:
            long[name][int(name.rpartition("_")[2])] = "another"
        draw_analysis(tmp_path / "a.png", self.table(**long), "title")
        picture = pixels_of(tmp_path / "a.png")
        assert not is_blank(picture)
        assert not is_cut_off(picture)


class TestPictures:
    @pytest.mark.slow
    def test_hundreds_of_categories_stand_in_columns(self, tmp_path: Path) -> None:
        draw_categories(tmp_path / "c.png", many(150, 1), "a $model_", "title $x^2")
        with Image.open(tmp_path / "c.png") as picture:
            width, height = picture.size
        assert width > height
        assert not is_blank(pixels_of(tmp_path / "c.png"))

    @pytest.mark.slow
    def test_names_of_any_kind_can_be_drawn(self, tmp_path: Path) -> None:
        table = many(3, 5, name="$\\frac{ \x1b[2J" + "long " * 30)
        draw_categories(tmp_path / "c.png", table, "a $model_", "$\\bad{")
        draw_analysis(tmp_path / "a.png", table, "$\\bad{")
        assert not is_blank(pixels_of(tmp_path / "a.png"))

    def test_too_many_categories_are_refused(self, tmp_path: Path) -> None:
        table = many(2, 5)
        row = part(table, "category").iloc[:1]
        grown = pd.concat([table, *[row] * 1001], ignore_index=True)
        with refused("E_CATEGORIES_MANY", where="c.png"):
            draw_categories(tmp_path / "c.png", grown, "a $model_", "title")
        assert list(tmp_path.iterdir()) == []
