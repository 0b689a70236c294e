"""Tables that are run again: cells, claims, and rows that cannot be run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import own_sets
import pytest
from refusals import refused

import ssl_bench
from ssl_bench.analysis.request import Request
from ssl_bench.executors import WorkersError
from ssl_bench.reproduction import runs as runs_module
from ssl_bench.reproduction.document import Reproduction
from ssl_bench.reproduction.grids import claims_grid, grids, heading, notes, write_reproductions
from ssl_bench.reproduction.reproduce import judged, reproduce
from ssl_bench.reproduction.runs import Runs, Settings
from ssl_bench.reproduction.table import load_table


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduced")


@pytest.fixture(scope="module")
def saliency(out: Path) -> Reproduction:
    """Table 3 of Oya et al.: two rows of one model that ships."""
    settings = Settings("synth", out, out / "trained", limit=40)
    return reproduce(load_table("oya2020:3"), Runs(settings))


def test_the_device_and_the_precision_are_those_of_every_run(
    saliency: Reproduction, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def noting(request: Request, *given: Any, **named: Any) -> Any:
        asked.append(request)
        return made(request, *given, **named)

    made = runs_module.run_predict
    monkeypatch.setattr(runs_module, "run_predict", noting)
    how: dict[str, Any] = {"device": "cpu", "precision": "bf16", "limit": 4}
    done = reproduce(load_table("oya2020:3"), Runs(Settings("synth", out, out / "trained", **how)))
    assert {(each.device, each.precision) for each in asked} == {("cpu", "bf16")}
    assert (done.device, done.precision) == (None, "bf16")
    assert "maps were computed on cpu in precision bf16" in notes(done)
    assert (saliency.device, saliency.precision) == (None, None)
    assert not any("computed on" in note for note in notes(saliency))
    # Maps in 32 bits are others.
    asked.clear()
    reproduce(load_table("oya2020:3"), Runs(Settings("synth", out, out / "trained", limit=4)))
    assert {each.precision for each in asked} == {"32"}


def test_a_device_that_is_not_there_is_no_reason_of_a_row(out: Path) -> None:
    with refused("E_DEVICE", where="nowhere"):
        Runs(Settings("synth", out, out / "trained", device="nowhere"))


def test_a_worker_that_dies_is_no_reason_of_a_row(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: object, **__: object) -> None:
        raise WorkersError("it ended", code="E_WORKER_DIED")

    monkeypatch.setattr(runs_module, "run_predict", dying)
    with refused("E_WORKER_DIED"):
        reproduce(load_table("oya2020:3"), Runs(Settings("synth", tmp_path, out / "trained")))


class TestRowsThatRun:
    def test_the_figures_are_those_of_evaluate(self, saliency: Reproduction, out: Path) -> None:
        done = ssl_bench.evaluate(
            "gradcam",
            "synth",
            dialect="oya",
            settings={"top": 1},
            limit=40,
            missing="skip",
            folder=out / "own",
        )
        [cell, _] = saliency.lines[0].cells
        own = done.result["mean-cIoU"].value
        assert own is not None
        assert (cell.measure, cell.printed) == ("mean-cIoU", 45.7)
        assert cell.value == pytest.approx(100 * own, abs=1e-9)

    def test_figures_of_a_small_world_are_not_judged(self, saliency: Reproduction) -> None:
        assert [line.verdict for line in saliency.lines] == ["measured", "measured"]
        assert saliency.partial

    def test_the_difference_of_a_claim_is_that_of_its_rows(self, saliency: Reproduction) -> None:
        first, second = (line.cells[0].value for line in saliency.lines)
        claim, _ = saliency.claims
        assert first is not None
        assert second is not None
        assert claim.differences[0] == pytest.approx(second - first)
        assert claim.lows[0] < claim.differences[0] < claim.highs[0]

    def test_a_claim_is_judged_under_each_measure_that_shows_it(
        self, saliency: Reproduction
    ) -> None:
        assert [claim.measure for claim in saliency.claims] == ["mean-cIoU", "tau-AUC"]
        [verdict] = saliency.verdicts.values()
        both = {claim.verdict for claim in saliency.claims}
        assert verdict == (both.pop() if len(both) == 1 else "differs by measure")

    def test_the_rules_are_those_of_the_papers_dialect(self, saliency: Reproduction) -> None:
        assert saliency.dialect == "oya"

    def test_maps_are_made_once(
        self, saliency: Reproduction, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("maps are there")

        monkeypatch.setattr(runs_module, "run_predict", refuse)
        settings = Settings("synth", out, out / "trained", limit=40)
        assert reproduce(load_table("oya2020:3"), Runs(settings)) == saliency


@pytest.fixture(scope="module")
def matching(out: Path) -> Reproduction:
    """Table 6 of Mo and Morgado: the weights of two of its rows do not ship."""
    settings = Settings("synth", out, out / "trained", limit=4)
    return reproduce(load_table("mo2022:6"), Runs(settings))


class TestRowsThatDoNotRun:
    def test_weights_that_are_missing_are_named_with_the_command_that_makes_them(
        self, matching: Reproduction
    ) -> None:
        line = matching.lines[0]
        assert line.verdict == "cannot be run here"
        assert "ezvsl-synth-matching-similarity-of-max-seed0" in str(line.reason)
        assert "--change settings.matching=similarity-of-max" in str(line.reason)

    def test_printed_figures_stay(self, matching: Reproduction) -> None:
        assert [cell.printed for cell in matching.lines[0].cells] == [49.40, 48.97, 12.72, 27.10]

    def test_a_claim_on_such_a_row_is_not_judged(self, matching: Reproduction) -> None:
        assert {claim.verdict for claim in matching.claims} == {"cannot be run here"}

    def test_other_rows_run(self, matching: Reproduction) -> None:
        assert matching.lines[2].verdict == "measured"

    def test_data_that_are_missing_are_a_reason(self, out: Path, tmp_path: Path) -> None:
        weights = tmp_path / "ogl.txt"
        settings = Settings("full", out, weights, data=tmp_path)
        done = reproduce(load_table("mo2022:5"), Runs(settings))
        assert {line.verdict for line in done.lines} == {"cannot be run here"}
        assert all(line.reason for line in done.lines)


def test_weights_of_a_seed_are_found_and_judged_together(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seeds, whose second has the weights of the first: the same figures twice."""
    shipped = ssl_bench.models.registry.load_baseline("ezvsl").shipped_weights("synth")
    assert shipped is not None
    (tmp_path / "ezvsl-synth-seed1.safetensors").write_bytes(shipped[0].read_bytes())
    monkeypatch.chdir(tmp_path)
    settings = Settings("synth", out, tmp_path, seeds=2, limit=4)
    done = reproduce(load_table("mo2022:5"), Runs(settings))
    [plain, *_] = done.lines
    assert len(plain.cells[0].values) == 2
    assert plain.cells[0].values[0] == plain.cells[0].values[1]
    # A prior has one training, whatever the seeds.
    assert len(done.lines[1].cells[0].values) == 1
    assert {len(claim.differences) for claim in done.claims} == {2}


def test_all_seeds_of_a_row_are_trained_together_but_those_that_are_there(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = ssl_bench.models.registry.load_baseline("ezvsl").shipped_weights("synth")
    assert shipped is not None
    trained: list[tuple[int, str]] = []

    def train(_model: str, *, seed: int, out: Path, **_: object) -> None:
        trained.append((seed, out.name))
        out.mkdir(parents=True)
        (out / "synth.safetensors").write_bytes(shipped[0].read_bytes())

    monkeypatch.setattr("ssl_bench.training.run.train", train)
    (tmp_path / "ezvsl-synth-seed2.safetensors").write_bytes(shipped[0].read_bytes())
    table = load_table("mo2022:5")
    rows = tuple(row for row in table.rows if row.id == "plain")
    settings = Settings("synth", out, tmp_path, seeds=4, limit=4, may_train=True)
    done = reproduce(table.model_copy(update={"rows": rows, "claims": ()}), Runs(settings))
    # The weights of seed 0 ship.
    assert trained == [(1, "ezvsl-synth-seed1"), (3, "ezvsl-synth-seed3")]
    assert len(done.lines[0].cells[0].values) == 4


def test_a_model_that_was_not_trained_for_a_world_is_missing_there(out: Path) -> None:
    table = load_table("senocak2023:1")
    rows = []
    for row in table.rows:
        variants = ssl_bench.models.registry.load_baseline(row.model or "full").recipe.variants
        if "synth" in variants and "collage" not in variants:
            rows.append(row)
    settings = Settings("collage", out, out / "trained", limit=4)
    done = reproduce(table.model_copy(update={"rows": tuple(rows), "claims": ()}), Runs(settings))
    assert {line.row for line in done.lines} >= {"slavc", "ssltie"}
    for line in done.lines:
        assert line.verdict == "cannot be run here"
        assert "has no variant 'collage'" in str(line.reason)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    data = tmp_path_factory.mktemp("data")
    folder = own_sets.table(data, [f"{name},{name},dog,0.1,0.1,0.6,0.7" for name in "abcd"])
    (folder / "type_ab.csv").write_text("id,type\na,A\nb,B\nc,A\nd,B\n")
    [done] = ssl_bench.reproduce(
        "oya2020:4",
        scale="full",
        data=data,
        test_set="mine",
        out=data / "out",
        weights_dir=data / "weights",
    )
    return done


class TestOnYourOwn:
    """Table 4 of Oya et al. on clips that somebody else annotated: theirs were never released."""

    def test_rows_are_measured_on_each_type_and_not_judged(self, done: Reproduction) -> None:
        noise = next(line for line in done.lines if line.row == "random")
        assert noise.verdict == "measured"
        assert {(cell.protocol, cell.part) for cell in noise.cells} == {
            ("type-ab@mine", "A"),
            ("type-ab@mine", "B"),
        }
        assert all(0 < cell.value < 60 for cell in noise.cells if cell.value is not None)
        assert [cell.printed for cell in noise.cells] == [29.9, 28.4, 17.1, 16.6]

    def test_what_was_measured_is_said(self, done: Reproduction) -> None:
        assert done.test_set == "mine"
        assert "test set mine" in heading(done)
        assert "test set of your own" in notes(done)[0]
        assert "verdict" not in grids(done)[0].columns

    def test_weights_are_named_that_it_needs(self, done: Reproduction) -> None:
        assert "oya-flickr-144k" in str(done.lines[0].reason)

    def test_columns_of_several_test_sets_are_refused(self) -> None:
        for name in ("mo2022:3", "mo2022:4"):
            with refused("E_TABLE_TEST_SET", where=name):
                load_table(name).on("mine")

    def test_small_worlds_have_no_room_for_it(self) -> None:
        with refused("E_ARGUMENT"):
            ssl_bench.reproduce("oya2020:4", test_set="mine")


def test_another_variant_that_ships_is_measured_untrained(out: Path) -> None:
    table = load_table("senocak2023:1")
    rows = tuple(row for row in table.rows if row.id in ("sspl", "sspl-pcm"))
    settings = Settings("synth", out, out / "none", limit=4)
    done = reproduce(table.model_copy(update={"rows": rows, "claims": ()}), Runs(settings))
    assert [line.verdict for line in done.lines] == ["measured", "measured"]
    assert not (out / "none").exists()
    folders = {path.name for path in out.iterdir() if path.name.startswith("sspl-")}
    assert len(folders) == 2  # each variant has maps of its own


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([(1.0, 0.5, 1.5)], "holds"),
        ([(1.0, -0.5, 2.5)], "not shown"),
        ([(1.0, 0.5, 1.5), (1.0, 0.1, 1.9), (0.1, -1.0, 1.2)], "holds"),
        ([(1.0, 0.5, 1.5), (1.0, 0.1, 1.9), (-0.1, -1.0, 0.8)], "not shown"),
        ([(-1.0, -1.5, -0.5)], "reversed"),
        ([(0.0, 0.0, 0.0)], "not shown"),
    ],
)
def test_a_claim_holds_where_every_seed_agrees_and_most_exclude_zero(
    found: list[tuple[float, float, float]], verdict: str
) -> None:
    assert judged(found) == verdict


class TestWritten:
    def test_grids_hold_every_printed_and_measured_figure(self, saliency: Reproduction) -> None:
        first, second = grids(saliency)
        assert (first.title, second.title) == ("mean-cIoU", "tau-AUC")
        assert [row[2] for row in first.rows] == ["45.7", "52.7"]
        assert all("[" in row[3] for row in first.rows)
        claims = claims_grid(saliency)
        assert claims is not None
        assert len(claims.rows) == 2
        assert notes(saliency) == [saliency.note]

    @pytest.mark.parametrize("form", ["markdown", "csv", "latex"])
    def test_files_hold_the_printed_figures(
        self, saliency: Reproduction, tmp_path: Path, form: str
    ) -> None:
        path = tmp_path / "table"
        write_reproductions(path, [saliency], form)  # type: ignore[arg-type]
        text = path.read_text("utf-8")
        assert "45.7" in text
        assert "52.7" in text
