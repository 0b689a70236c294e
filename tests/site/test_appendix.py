"""The report: one file, the same bytes again, and nothing in it but text and pictures."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from boards import HOSTILE
from refusals import refused

from ssl_bench.analysis.evaluation import evaluate
from ssl_bench.figures.trial_pictures import draw_run
from ssl_bench.site.appendix import Made, labelled, read_runs, write_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two runs of ``synth``."""
    folder = tmp_path_factory.mktemp("runs")
    done, _ = (evaluate(name, "synth", folder=folder / name) for name in ("center", "full"))
    draw_run(done, 2, lambda _stage: None)
    return folder


def report(tmp_path: Path, *folders: Path) -> str:
    write_report(tmp_path / "report.html", read_runs(folders))
    return (tmp_path / "report.html").read_text()


def content_of(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def edited(runs: Path, tmp_path: Path, change: Callable[[dict], None]) -> Path:
    copy = Path(shutil.copytree(runs / "center", tmp_path / "edited"))
    content = content_of(copy)
    change(content)
    (copy / "result.json").write_text(json.dumps(content))
    return copy


@pytest.mark.slow
def test_the_same_runs_give_the_same_bytes(runs: Path, tmp_path: Path) -> None:
    first = report(tmp_path, runs / "center", runs / "full")
    assert report(tmp_path, runs / "center", runs / "full") == first


def test_a_picture_of_other_predictions_is_refused(runs: Path, tmp_path: Path) -> None:
    mixed = Path(shutil.copytree(runs / "full", tmp_path / "mixed"))
    shutil.copy(runs / "center" / "trials.png", mixed)
    with refused("E_PICTURE_OTHER", where="trials.png"):
        report(tmp_path, mixed)


def test_it_needs_no_other_file_and_runs_nothing(runs: Path, tmp_path: Path) -> None:
    page = report(tmp_path, runs / "center")
    sources = re.findall(r'\b(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "<script" not in page
    assert "url(" not in page


def test_results_of_one_protocol_share_a_table_with_floors_and_ceiling(
    runs: Path, tmp_path: Path
) -> None:
    page = report(tmp_path, runs)
    assert page.count("<h2") == 1
    assert page.count("<h3>") == 2
    count = len(content_of(runs / "center")["measures"])
    assert len(re.findall(r'<tr class="ceiling">', page)) == count
    assert len(re.findall(r'<tr class="floor">', page)) == 4 * count
    assert "500 of 500" in page


def test_every_row_says_what_is_reached_without_sound_and_what_hearing_adds(
    runs: Path, tmp_path: Path
) -> None:
    page = report(tmp_path, runs / "center")
    assert all(f">{head}</th>" in page for head in ("Score", "Without sound", "Hearing"))
    measures = [each["measure"] for each in content_of(runs / "center")["measures"]]
    assert re.findall(r'<th scope="rowgroup"[^>]*>([^<]*)</th>', page) == measures
    assert page.count("none shown") == len(measures)
    assert "no hearing is shown" in page


def test_an_earlier_result_without_hearing_is_reported_without(runs: Path, tmp_path: Path) -> None:
    page = report(tmp_path, edited(runs, tmp_path, lambda content: content.update(hearing=[])))
    assert ">Score</th>" in page
    assert ">Hearing</th>" not in page


def test_measures_columns_and_names_can_be_chosen(runs: Path, tmp_path: Path) -> None:
    read = labelled(read_runs([runs]), ["in the middle", "everywhere"])
    write_report(tmp_path / "r.html", read, measures=["AUC"], columns=["run", "p"])
    page = (tmp_path / "r.html").read_text()
    assert re.findall(r'<th scope="rowgroup"[^>]*>([^<]*)</th>', page) == ["AUC"]
    assert ">Score</th>" not in page
    assert page.count("<bdi>in the middle</bdi>") == 2


def test_equal_names_are_told_apart_by_the_run(runs: Path, tmp_path: Path) -> None:
    page = report(tmp_path, runs / "center", edited(runs, tmp_path, lambda _content: None))
    assert "<bdi>center (run edited)</bdi>" in page
    assert ">Run</th>" in page


def test_it_says_when_and_how_it_was_made(runs: Path, tmp_path: Path) -> None:
    made = Made("2026-11-30", "0.1.0", "abc", "ssl-bench report 'a b'")
    write_report(tmp_path / "r.html", read_runs([runs / "center"]), made=made)
    page = (tmp_path / "r.html").read_text()
    assert "2026-11-30 with ssl-bench 0.1.0, commit abc" in page
    assert "<code>ssl-bench report &#39;a b&#39;</code>" in page


def test_results_under_other_conventions_get_a_table_of_their_own(
    runs: Path, tmp_path: Path
) -> None:
    def change(content: dict) -> None:
        content["protocol"]["digest"] = "0" * 64

    other = edited(runs, tmp_path, change)
    page = report(tmp_path, runs / "center", other)
    assert page.count("<h2") == 2
    assert "protocol 000000000000" in page


def test_text_of_a_result_stays_text(runs: Path, tmp_path: Path) -> None:
    def change(content: dict) -> None:
        content["model"]["name"] = HOSTILE
        content["protocol"]["title"] = HOSTILE
        content["floors"][0]["name"] = HOSTILE
        content["environment"]["ssl_bench"] = HOSTILE

    page = report(tmp_path, edited(runs, tmp_path, change))
    assert "<script" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 5


def test_invisible_signs_are_refused(runs: Path, tmp_path: Path) -> None:
    def change(content: dict) -> None:
        content["model"]["name"] = "a\u202eb"

    with refused("E_RESULT_TEXT"):
        read_runs([edited(runs, tmp_path, change)])


def test_a_run_without_scores_and_pictures_is_reported_without(runs: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(runs / "full", tmp_path / "copy"))
    (copy / "scores.npz").unlink()
    page = report(tmp_path, copy)
    assert "<img" not in page
    assert "polyline" not in page
    assert "polyline" in report(tmp_path, runs / "full")


def test_a_run_is_broken_down_by_every_attribute_of_its_trials(runs: Path, tmp_path: Path) -> None:
    def change(content: dict) -> None:
        levels = content["breakdown"]["size"]
        content["breakdown"]["my_scene"] = {"<in>": levels["large"], "out": levels["huge"]}

    page = report(tmp_path, edited(runs, tmp_path, change))
    asked = content_of(runs / "center")["breakdown"]
    assert "<h4>cIoU@0.5 by kinds of trials</h4>" in page
    small = [name for name, levels in asked.items() if len(levels) <= 12]
    assert len(small) > 2
    assert page.count("<h5>") == len(small) + 1
    assert {"<h5>size</h5>", "<h5>how many could sound</h5>", "<h5>my scene</h5>"} <= set(
        re.findall("<h5>.*?</h5>", page)
    )
    assert "&lt;in&gt;" in page


def test_a_run_without_breakdowns_is_reported_without(runs: Path, tmp_path: Path) -> None:
    page = report(tmp_path, edited(runs, tmp_path, lambda content: content["breakdown"].clear()))
    assert "<h5>" not in page
    assert "by kinds of trials" not in page


def test_scores_of_another_run_are_refused(runs: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(runs / "center", tmp_path / "copy"))
    shutil.copy(runs / "full" / "scores.npz", copy / "scores.npz")
    with refused("E_SCORES_OTHER", where=copy / "scores.npz"):
        read_runs([copy])


def test_a_picture_that_is_none_is_refused(runs: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(runs / "center", tmp_path / "copy"))
    (copy / "trials.png").write_text("<svg onload=alert(1)>")
    with refused("E_PICTURE"):
        read_runs([copy])


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with refused("E_RUN_FOLDER"):
        read_runs([tmp_path])


def test_nothing_is_written_for_no_run(tmp_path: Path) -> None:
    with refused("E_RUN_FOLDER"):
        write_report(tmp_path / "report.html", [])
    assert list(tmp_path.iterdir()) == []
