"""What the pages say: ranks, shares, references, printed figures, commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ssl_bench.leaderboard.entry import AddressedPredictions, Entry, RemadePredictions
from ssl_bench.leaderboard.published import read_published
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.scoring.results import MeasuredValue, Prior, VisionOnly
from ssl_bench.site.board import Board, Competition, read_board
from ssl_bench.site.commands import (
    contribution_command,
    evaluate_command,
    score_command,
    storage_note,
)
from ssl_bench.site.entry_page import (
    contribution_lines,
    contribution_sentence,
    dialect_lines,
    entry_content,
)
from ssl_bench.site.numbers import shown, signed
from ssl_bench.site.pages import site_pages
from ssl_bench.site.printed import printed_for, printed_table
from ssl_bench.site.rows import entry_table


@pytest.fixture(scope="module")
def board(made_board: Path) -> Board:
    return read_board(made_board)


@pytest.fixture(scope="module")
def competition(board: Board) -> Competition:
    return board.competitions["synth"][0]


def test_an_oracle_is_shown_and_not_ranked(competition: Competition) -> None:
    assert [entry.slug for entry in competition.ranked] == ["center", "full", "my-model"]
    assert [entry.slug for entry in competition.oracles] == ["oracle"]
    content = entry_content(competition, competition.entries["oracle"])
    assert content["standing"] is None


def test_ranks_under_a_dialect_are_those_of_its_own_values(competition: Competition) -> None:
    for name, (_, ranks) in competition.under_dialects.items():
        values = {
            entry.slug: next(
                each.measures[0].value for each in entry.evidence.dialects if each.dialect == name
            )
            for entry in competition.ranked
        }
        assert "oracle" not in ranks
        for one in values:
            better = sum(values[other] > values[one] for other in values)
            assert ranks[one] == 1 + better


def test_a_dialect_line_names_its_winners(competition: Competition) -> None:
    lines = dialect_lines(competition, competition.entries["my-model"])
    assert {line.name for line in lines} >= {"ezvsl", "slavc"}
    for line in lines:
        assert line.rank is not None
        assert (line.rank == 1) == ("my-model" in line.winners)


def test_references_run_from_the_ceiling_down_and_shares_from_the_floor_up(
    competition: Competition,
) -> None:
    table = entry_table(competition)
    kinds = [row.kind for row in table.references]
    assert kinds == sorted(kinds, key=("ceiling", "oracle", "floor").index)
    best = next(row for row in table.rows if row.entry.slug == "center")
    assert best.share == "0.0 %"
    assert next(row for row in table.rows if row.entry.slug == "my-model").share.startswith(
        "\N{MINUS SIGN}"
    )


def test_breakdowns_have_names_for_people(competition: Competition) -> None:
    entry = competition.entries["my-model"]
    named = [each.name for each in entry_content(competition, entry)["breakdowns"]]
    assert "n_boxes" in entry.result.breakdown
    assert "how many boxes" in named
    assert len(named) == len(entry.result.breakdown)
    assert not any("_" in name for name in named)


def with_gap(entry: Entry, value: float, low: float, high: float) -> Entry:
    blind = entry.result.vision_only
    assert blind is not None
    gap = MeasuredValue(
        measure=entry.headline.measure,
        value=value,
        low=low,
        high=high,
        method="cluster-bootstrap",
        n_trials=500,
        n_groups=500,
    )
    changed = VisionOnly(
        predictions_sha256=blind.predictions_sha256, measures=blind.measures, gap=(gap,)
    )
    result = entry.result.model_copy(update={"vision_only": changed})
    return entry.model_copy(update={"result": result})


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        ((0.1, 0.05, 0.15), "Without the sound, 10.0 of {} points of cIoU@0.5 are lost (95 %"),
        ((-0.1, -0.15, -0.05), "is 10.0 lower than without"),
        ((0.1, -0.05, 0.25), "adds nothing to cIoU@0.5 that can be told from zero"),
    ],
)
def test_what_the_sound_adds_in_words(
    competition: Competition, gap: tuple[float, float, float], words: str
) -> None:
    entry = with_gap(competition.entries["my-model"], *gap)
    own = shown(entry.headline.value, entry.headline.measure)
    assert words.format(own) in contribution_sentence(competition, entry)


def test_a_model_that_does_not_listen_needs_no_sound(competition: Competition) -> None:
    assert "does not listen" in contribution_sentence(competition, competition.entries["center"])


def test_the_contribution_runs_from_floor_to_ceiling(competition: Competition) -> None:
    lines = contribution_lines(competition, competition.entries["my-model"])
    assert [line.kind for line in lines] == ["floor", "blind", "entry", "ceiling"]


def with_priors(entry: Entry, **reached: float) -> Entry:
    """The same, measured beside priors that reach so much by the first measure."""
    priors = tuple(
        Prior(
            name=name,
            predictions_sha256="0" * 64,
            measures=(entry.headline.model_copy(update={"value": value}),),
            gap=(),
        )
        for name, value in reached.items()
    )
    return entry.model_copy(update={"result": entry.result.model_copy(update={"priors": priors})})


def test_priors_stand_best_first_and_the_best_is_named(competition: Competition) -> None:
    entry = with_priors(competition.entries["my-model"], unet=0.1, gradcam=0.3, potential=0.2)
    lines = contribution_lines(competition, entry)
    names = [line.name for line in lines if line.name.startswith("prior")]
    assert names == ["prior gradcam", "prior potential", "prior unet"]
    ahead = signed((entry.headline.value or 0) - 0.3, "cIoU@0.5")
    sentence = contribution_sentence(competition, entry)
    assert "The best prior, gradcam, reaches 30.0 by looking alone" in sentence
    assert sentence.endswith(f"the difference to it is {ahead}.")


def test_commands_name_stored_files_and_settings(competition: Competition) -> None:
    own = competition.entries["my-model"]
    assert score_command(own) == (
        "ssl-bench score leaderboard/predictions/synth/my-model.npz --protocol "
        "synth@synth:standard --vision-only leaderboard/predictions/synth/my-model.vision-only.npz"
    )
    assert evaluate_command(own) is None
    center = competition.entries["center"]
    assert (evaluate_command(center) or "").startswith(
        "ssl-bench evaluate --model center --protocol synth@synth:standard"
    )
    remade = RemadePredictions(model="center", seed=0, sha256="0" * 64, bytes=1)
    assert score_command(center.model_copy(update={"predictions": remade})) is None


def test_the_page_says_that_stored_maps_are_reduced(board: Board, competition: Competition) -> None:
    own = competition.entries["my-model"]
    assert storage_note(own) == (
        "Maps are stored at 7x7 (float16), and the numbers above are those of the stored maps. As "
        "made, they may score slightly differently."
    )
    page = next(each for each in site_pages(board) if each.path == "entries/synth/my-model.html")
    assert storage_note(own) in page.render()
    elsewhere = AddressedPredictions(address="https://a.org/maps.npz", sha256="0" * 64, bytes=1)
    assert storage_note(own.model_copy(update={"predictions": elsewhere})) == ""


def test_the_page_says_how_other_sounds_are_played(board: Board, competition: Competition) -> None:
    own = competition.entries["my-model"]
    maps = "leaderboard/predictions/synth/my-model.npz"
    command = (
        f"ssl-bench contribution --predictions {maps} --without silence=silence.npz "
        "--protocol synth@synth:standard"
    )
    assert contribution_command(own) == command
    page = next(each for each in site_pages(board) if each.path == "entries/synth/my-model.html")
    assert command in page.render()
    ships = own.card.model_copy(update={"baseline": "ezvsl"})
    model = own.result.model.model_copy(update={"variant": "synth", "alpha": 0.4})
    entry = own.model_copy(
        update={"card": ships, "result": own.result.model_copy(update={"model": model})}
    )
    assert contribution_command(entry) == (
        "ssl-bench contribution --model ezvsl --protocol synth@synth:standard --variant synth "
        "--alpha 0.4"
    )
    assert contribution_command(competition.entries["center"]) is None


def test_printed_figures_of_one_row_of_a_table_stand_in_one_row(made_board: Path) -> None:
    figures = read_published(made_board / "published.csv")
    asked = printed_for(load_protocol("vggss"), figures)
    table = printed_table(asked)
    assert table.metrics == ("ciou@0.5", "auc")
    assert [row.values for row in table.rows] == [("18.50", "30.20"), ("20.00", "")]
    assert [row.in_conflict for row in table.rows] == [True, False]
    assert table.n_figures == 3


def test_every_figure_that_ships_is_shown_once() -> None:
    figures = read_published()
    table = printed_table(figures)
    shown = sum(len(value.split(" / ")) for row in table.rows for value in row.values if value)
    assert shown == len(figures)


def test_reported_rows_are_in_no_table_of_entries(board: Board) -> None:
    pages = {page.path: page for page in site_pages(board)}
    text = pages["protocols/concat.html"].render()
    assert "nobody2001" in text
    assert 'data-table="measured"' not in text


def test_entries_of_an_older_version_are_shown_and_not_ranked(
    made_board: Path, tmp_path: Path
) -> None:
    root = tmp_path / "board"
    folder = root / "entries" / "synth"
    folder.mkdir(parents=True)
    for slug in ("center", "full"):
        content = json.loads((made_board / "entries" / "synth" / f"{slug}.json").read_text())
        if slug == "full":
            content["protocol_digest"] = content["result"]["protocol"]["digest"] = "1" * 64
        (folder / f"{slug}.json").write_text(json.dumps(content))
    found = read_board(root)
    assert [each.current for each in found.competitions["synth"]] == [True, False]
    page = next(page for page in site_pages(found) if page.path == "protocols/synth.html").render()
    assert "Measured under another version" in page
    assert len(re.findall(r">rank 1<", page)) == 1
    assert "made for version 1 of the protocol" in page
    older = found.competitions["synth"][1]
    assert (older.ranked, [entry.slug for entry in older.apart]) == ((), ["full"])
    pages = {page.path: page for page in site_pages(found)}
    own = pages["entries/synth/full.html"].render()
    assert "not scored again here" in own
    assert "Made for version 1 of the protocol, so this entry is not ranked" in own


def kept_elsewhere(made_board: Path, root: Path) -> Board:
    folder = root / "entries" / "synth"
    folder.mkdir(parents=True)
    for slug in ("center", "my-model"):
        content = json.loads((made_board / "entries" / "synth" / f"{slug}.json").read_text())
        if slug == "my-model":
            content["vision_only"] = content["result"]["vision_only"] = None
            content["result"]["measures"][0]["value"] = 0.98765
            content["predictions"] = {
                "kind": "address",
                "address": "https://example.org/maps.npz",
                "sha256": content["predictions"]["sha256"],
                "bytes": 7,
            }
        (folder / f"{slug}.json").write_text(json.dumps(content))
    return read_board(root)


def test_maps_that_are_kept_elsewhere_rank_nothing(made_board: Path, tmp_path: Path) -> None:
    found = kept_elsewhere(made_board, tmp_path / "board")
    (competition,) = found.competitions["synth"]
    assert [entry.slug for entry in competition.ranked] == ["center"]
    assert [entry.slug for entry in competition.apart] == ["my-model"]
    assert found.n_apart == 1
    pages = {page.path: page for page in site_pages(found)}
    protocol = pages["protocols/synth.html"].render()
    assert "98.8" not in protocol
    assert '<span class="badge">not scored again here</span>' in protocol
    own = pages["entries/synth/my-model.html"].render()
    assert "Its maps are kept elsewhere, so this entry is not ranked" in own
    overview = pages["index.html"].render()
    assert "<b>1</b> measured entries" in overview
    assert "<b>1</b> not scored again here" in overview


def test_a_board_of_nothing_that_can_be_scored_has_no_ranks(
    made_board: Path, tmp_path: Path
) -> None:
    kept_elsewhere(made_board, tmp_path / "board")
    (tmp_path / "board" / "entries" / "synth" / "center.json").unlink()
    found = read_board(tmp_path / "board")
    for page in site_pages(found):
        assert ">rank 1<" not in page.render()


def test_what_nobody_can_check_is_labelled(board: Board) -> None:
    pages = {page.path: page for page in site_pages(board)}
    text = pages["entries/synth/my-model.html"].render()
    proven, stated = text.split("<h3>As stated by who made it</h3>")
    assert ">predictions digest<" in proven
    assert ">python<" not in proven
    assert ">python<" in stated


def test_every_step_of_the_overview_that_needs_annotations_says_where(board: Board) -> None:
    page = next(each for each in site_pages(board) if each.path == "index.html").render()
    steps = re.findall(r"<code>(ssl-bench (?:validate|submit) maps[^<]*)</code>", page)
    assert len(steps) == 2
    assert all("--data DIR" in step for step in steps)
