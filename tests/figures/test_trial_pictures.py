"""Trials of runs as pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from drawn import is_blank, is_cut_off, pixels_of
from matplotlib.figure import Figure
from PIL import Image
from refusals import refused

import ssl_bench
from ssl_bench.analysis.chosen_trials import Choice
from ssl_bench.analysis.evaluation import evaluate
from ssl_bench.cli.main import main
from ssl_bench.figures import trial_pictures
from ssl_bench.figures.sheet import SheetRow, draw_sheet
from ssl_bench.figures.trial_pictures import draw_trials, open_shown
from ssl_bench.media.image import source_of
from ssl_bench.predictions import open_predictions
from ssl_bench.scoring.score_file import read_scores


class Caught:
    """What was handed to the drawing of each figure."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.figures: list[tuple[Sequence[SheetRow], list[str], str]] = []

        def note(rows: Sequence[SheetRow], heads: Sequence[str], title: str = "") -> Figure:
            self.figures.append((rows, list(heads), title))
            return draw_sheet(rows, heads, title)

        monkeypatch.setattr(trial_pictures, "draw_sheet", note)


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> Caught:
    return Caught(monkeypatch)


def test_each_run_has_a_column_and_its_own_score(
    runs: dict[str, Path], few_protocol: str, tmp_path: Path, caught: Caught
) -> None:
    shown = open_shown([runs["ezvsl"], runs["center"]], protocol=few_protocol)
    done = draw_trials(shown, Choice("worst", 3), out=tmp_path / "a.png")
    ((rows, heads, title),) = caught.figures
    assert heads == ["ezvsl", "center"]
    assert "tiny@synth" in title
    scores = [read_scores(runs[name] / "scores.npz").set_index("trial_id") for name in heads]
    assert done.trial_ids == tuple(scores[0]["cIoU"].sort_values(kind="stable").index[:3])
    for row, name in zip(rows, done.trial_ids, strict=True):
        assert row.image is not None
        for panel, table in zip(row.maps, scores, strict=True):
            assert panel is not None
            assert panel.score == f"cIoU {table.loc[name, 'cIoU']:.3f}"
            assert panel.hit == (table.loc[name, "cIoU"] >= 0.5)
    picture = pixels_of(tmp_path / "a.png")
    assert not is_blank(picture)
    assert not is_cut_off(picture)


def test_one_run_is_shown_with_its_audio_blind_map(
    runs: dict[str, Path], few_protocol: str, tmp_path: Path, caught: Caught
) -> None:
    shown = open_shown([runs["ezvsl"]], protocol=few_protocol)
    draw_trials(shown, Choice("random", 1), out=tmp_path / "a.png")
    draw_trials(shown, Choice("random", 1), parts=False, out=tmp_path / "b.png")
    assert [heads for _, heads, _ in caught.figures] == [["ezvsl", "audio-blind map"], ["ezvsl"]]
    digest = open_predictions(runs["ezvsl"] / "predictions.npz").sha256
    assert source_of((tmp_path / "a.png").read_bytes()) == digest


def test_an_object_guided_map_is_shown_with_the_maps_that_it_is_made_of(
    runs: dict[str, Path], few_protocol: str, tmp_path: Path, caught: Caught
) -> None:
    """Its audio-visual map is that of the model without guidance, and scores as much."""
    by = Choice("random", 4)
    draw_trials(open_shown([runs["guided"]], protocol=few_protocol), by, out=tmp_path / "a.png")
    draw_trials(open_shown([runs["ezvsl"]], protocol=few_protocol), by, out=tmp_path / "b.png")
    (guided, heads, _), (plain, _, _) = caught.figures
    assert [head.partition(" (")[0] for head in heads] == [
        "audio-visual map",
        "object-guided map",
        "final map",
        "audio-blind map",
    ]
    for mixed, alone in zip(guided, plain, strict=True):
        avl, own = mixed.maps[0], alone.maps[0]
        assert avl is not None
        assert own is not None
        assert np.abs(avl.heat - own.heat).max() < 1e-4
        assert avl.score == own.score


def test_predictions_alone_are_scored_by_any_mean_over_trials(
    runs: dict[str, Path], few_protocol: str, tmp_path: Path, caught: Caught
) -> None:
    shown = open_shown([runs["center"] / "predictions.npz"], protocol=few_protocol)
    draw_trials(shown, Choice("best", 2), measure="pointing", out=tmp_path / "a.png")
    ((rows, _, _),) = caught.figures
    for row in rows:
        panel = row.maps[0]
        assert panel is not None
        assert (panel.score, panel.hit) == ("pointing 1.000", None)
    with refused("E_MEASURE_MEAN"):
        draw_trials(shown, Choice("best", 2), measure="maxF1@0.5", out=tmp_path / "b.png")


def test_each_picture_gets_a_file_of_its_own(
    runs: dict[str, Path], few_protocol: str, tmp_path: Path
) -> None:
    shown = open_shown([runs["center"]], protocol=few_protocol)
    done = draw_trials(shown, Choice("random", 3), per_clip=tmp_path, ending="svg")
    assert sorted(tmp_path.iterdir()) == sorted(done.files)
    assert sorted(path.name for path in done.files) == sorted(
        f"{name}.svg" for name in done.trial_ids
    )


def test_labels_name_the_columns(runs: dict[str, Path], few_protocol: str, tmp_path: Path) -> None:
    pair = [runs["ezvsl"], runs["ezvsl"]]
    assert [run.label for run in open_shown(pair, protocol=few_protocol)] == [
        "ezvsl (1)",
        "ezvsl (2)",
    ]
    named = open_shown(pair, protocol=few_protocol, labels=("ours", "theirs"))
    assert [run.label for run in named] == ["ours", "theirs"]


def test_runs_of_other_questions_are_refused(
    runs: dict[str, Path], few_protocol: str, tmp_path: Path
) -> None:
    path = tmp_path / "fewer.toml"
    path.write_text(Path(few_protocol).read_text().replace("16", "12"))
    evaluate("center", str(path), folder=tmp_path / "whole")
    with refused("E_COMPARE_DIFFERENT"):
        open_shown([runs["center"], tmp_path / "whole"], protocol=few_protocol)
    with refused("E_PROTOCOL_VERSION"):
        open_shown([runs["center"], tmp_path / "whole" / "predictions.npz"], protocol=few_protocol)
    with refused("E_FILE_UNREADABLE"):
        open_shown([tmp_path / "none.npz"], protocol=few_protocol)


def test_what_sound_turns_is_shown_beside_the_audio_blind_map(
    runs: dict[str, Path], few_protocol: str, tmp_path: Path, caught: Caught
) -> None:
    pair = open_shown([runs["ezvsl"], runs["center"]], protocol=few_protocol)
    drawn = draw_trials(pair, Choice("heard", 3), measure="pointing", out=tmp_path / "a.png")
    assert drawn.notes == ()
    ((rows, heads, _),) = caught.figures
    assert heads == ["ezvsl", "ezvsl: audio-blind map", "center"]
    for row in rows:
        told = [panel.score for panel in row.maps if panel is not None]
        assert told[:2] == ["pointing 1.000", "pointing 0.000"]


def test_fewer_trials_than_were_asked_for_are_told(
    runs: dict[str, Path], few_protocol: str, tmp_path: Path, caught: Caught
) -> None:
    shown = open_shown([runs["ezvsl"]], protocol=few_protocol)
    heard = draw_trials(shown, Choice("heard", 200), measure="pointing", out=tmp_path / "a.png")
    ((rows, _, _),) = caught.figures
    assert 0 < len(rows) == len(heard.trial_ids) < 200
    [note] = heard.notes
    assert {str(len(rows)), "200"} < set(note.split())


def test_what_sound_turns_needs_an_audio_blind_map(
    runs: dict[str, Path], few_protocol: str, tmp_path: Path
) -> None:
    shown = open_shown([runs["center"]], protocol=few_protocol)
    with refused("E_BLIND_MISSING", where="center"):
        draw_trials(shown, Choice("misheard", 3), out=tmp_path / "a.png")


class TestRealImages:
    """Of a test set whose images lie in a folder, some of them damaged."""

    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        folder = tmp_path / "data" / "dots"
        folder.mkdir(parents=True)
        text = "id,category,xmin,ymin,xmax,ymax\n"
        for number in range(3):
            text += f"clip{number},dot,10,10,150,150\n"
        (folder / "dots.csv").write_text(text)
        (folder / "testset.toml").write_text(DOTS)
        (folder / "frames").mkdir()
        for number in range(3):
            (folder / "frames" / f"clip{number}.png").write_bytes(b"damaged")
        Image.new("RGB", (60, 40), (200, 30, 30)).save(folder / "frames" / "clip1.png")
        return tmp_path / "data"

    def test_those_that_can_be_read_are_shown_and_others_are_named(
        self, data: Path, tmp_path: Path, caught: Caught, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("center", "oracle"):
            arguments = ["evaluate", "--model", name, "--protocol", "synth@dots", "--sheet", "0"]
            main([*arguments, "--data", str(data), "--out", str(tmp_path / name)])
        capsys.readouterr()
        folders = [str(tmp_path / name) for name in ("center", "oracle")]
        out = ["--data", str(data), "--pictures", str(tmp_path / "a.pdf")]
        main(["compare", *folders, *out])
        ((rows, heads, _),) = caught.figures
        assert heads == ["center", "oracle"]
        seen = {row.title.split("\n")[0]: row.image for row in rows}
        assert [name for name, image in seen.items() if image is not None] == ["clip1"]
        assert seen["clip1"][0, 0].tolist() == [200, 30, 30]  # type: ignore[index]
        assert "2 of 3 trials" in capsys.readouterr().out
        assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


DOTS = """
title = "Dots"
[annotation]
form = "table"
file = "dots.csv"
columns = { id = "id", category = "category", box = ["xmin", "ymin", "xmax", "ymax"] }
units = "pixels"
frame = [224, 224]
"""


class TestCommand:
    def test_it_says_what_it_drew(
        self,
        runs: dict[str, Path],
        few_protocol: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        given = ["pictures", str(runs["ezvsl"]), str(runs["center"]), "--protocol", few_protocol]
        main([*given, "--apart", "2", "--format", "svg"])
        assert "Drew 2 trials into pictures.svg" in capsys.readouterr().out
        main([*given, "--worst", "1", "--per-clip", "clips", "--label", "a", "--label", "b"])
        assert "into clips" in capsys.readouterr().out
        assert len(list((tmp_path / "clips").iterdir())) == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == ["clips", "pictures.svg"]

    def test_only_trials_of_some_values_are_drawn(
        self,
        runs: dict[str, Path],
        few_protocol: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        scores = read_scores(runs["center"] / "scores.npz").set_index("trial_id")
        first = scores.iloc[0]
        asked = {"size": first["size"], "n_boxes": int(first["n_boxes"])}
        same = scores[(scores["size"] == asked["size"]) & (scores["n_boxes"] == asked["n_boxes"])]
        given = ["pictures", str(runs["center"]), "--protocol", few_protocol, "--json"]
        where = [f"--where={name}={value}" for name, value in asked.items()]
        main([*given, *where, "--worst", "50", "--out", str(tmp_path / "a.png")])
        expected = same["cIoU"].sort_values(kind="stable").index.tolist()
        assert json.loads(capsys.readouterr().out)["trials"] == expected
        done = ssl_bench.pictures(
            runs["center"],
            protocol=few_protocol,
            by="worst",
            count=50,
            where=asked,
            out=tmp_path / "b.png",
        )
        assert list(done.trial_ids) == expected

    @pytest.mark.parametrize(
        "wrong",
        [
            ["--worst", "2", "--best", "2"],
            ["--worst", "0"],
            ["--out", "a.gif"],
            ["--ids", "none"],
            ["--where", "size"],
            ["--where", "sizes=small"],
            ["--where", "size=smal"],
        ],
    )
    def test_what_cannot_be_drawn_is_refused(
        self, wrong: list[str], runs: dict[str, Path], few_protocol: str, tmp_path: Path
    ) -> None:
        given = ["pictures", str(runs["center"]), "--protocol", few_protocol, *wrong]
        if "--out" not in wrong:
            given += ["--out", str(tmp_path / "a.png")]
        with pytest.raises(SystemExit) as stopped:
            main(given)
        assert stopped.value.code == 2
        assert not list(tmp_path.iterdir())
