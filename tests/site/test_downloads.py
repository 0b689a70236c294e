"""Files to download: the numbers of the page, in forms that nothing in them can break."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from ssl_bench.leaderboard.board import Board, Competition
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.papers import known_papers
from ssl_bench.site.downloads import Download, entry_download, papers_of
from ssl_bench.site.rendering import shown
from ssl_bench.site.tables import entry_table

CARD = SubmissionCard.model_construct(slug="mine", paper_address="https://example.com/a")
FORMS = ("csv", "json", "tex", "bib")


@pytest.fixture
def download() -> Download:
    """One row whose texts mean something to a spreadsheet, and to LaTeX."""
    return Download(
        "a--b",
        "A_table",
        "About 5 %",
        ({"name": "=1+1", "score": -1.5}, {"name": "b", "more": None}),
        ("Name", "Score"),
        (("=1+1", "$-$1.5"),),
        papers_of([CARD.model_copy(update={"paper": "Ada Author, A & B, ICCV 2021"})]),
    )


def test_a_table_of_all_columns_is_written_and_no_cell_is_a_formula(download: Download) -> None:
    rows = list(csv.DictReader(io.StringIO(download.forms["csv"])))
    assert [row["name"] for row in rows] == ["'=1+1", "b"]
    assert list(rows[0]) == ["name", "score", "more"]
    assert rows[0]["score"] == "-1.5"


def test_json_has_the_rows_and_what_they_are(download: Download) -> None:
    content = json.loads(download.forms["json"])
    assert content == {"title": "A_table", "about": "About 5 %", "rows": list(download.records)}


def test_latex_is_a_table_with_booktabs_and_a_caption(download: Download) -> None:
    text = download.forms["tex"]
    assert r"\caption{A\_table. About 5 \%}" in text
    assert r"\label{tab:a-b}" in text
    assert [text.count(rf"\{rule}rule") for rule in ("top", "mid", "bottom")] == [1, 1, 1]
    assert "=1+1 & $-$1.5 \\\\" in text


def test_papers_are_entries_of_bibtex(download: Download) -> None:
    text = download.forms["bib"]
    assert text.startswith("@misc{mine,\n")
    assert r"note = {Ada Author, A \& B, ICCV 2021}" in text
    assert "year = {2021}" in text
    assert r"howpublished = {\url{https://example.com/a}}" in text


def test_a_known_paper_has_its_own_entry_however_a_card_cites_it() -> None:
    title = "Localizing Visual Sounds the Easy Way"
    cited = (title, f"S. Mo, P. Morgado, {title}, section 3.3", None)
    cards = [CARD.model_copy(update={"paper": paper}) for paper in cited]
    assert papers_of(cards) == (known_papers()["mo2022"].bibtex("mo2022"),)


def test_a_download_has_the_numbers_of_the_page(competition: Competition) -> None:
    table = entry_table(competition)
    rows = json.loads(entry_download(competition, table).forms["json"])["rows"]
    assert [row["name"] for row in rows] == [row.name for row in (*table.rows, *table.references)]
    own = next(row for row in rows if row["slug"] == "my-model")
    entry = competition.entries["my-model"]
    for measure in competition.protocol.measures:
        assert shown(own[measure] / 100, measure) == shown(entry.result[measure].value, measure)
    hearing = entry.result.hearing[0]
    assert own["cIoU@0.5 without sound by"] == hearing.best_without
    assert own["cIoU@0.5 hearing is shown"] is hearing.is_shown
    assert hearing.adds is not None
    assert hearing.adds.value is not None
    assert own["cIoU@0.5 hearing"] == pytest.approx(100 * hearing.adds.value, abs=1e-5)
    assert "cIoU@0.5 hearing" not in next(row for row in rows if row["slug"] == "center")


def test_every_table_of_a_page_can_be_downloaded(pages: dict[str, str], board: Board) -> None:
    for page, name, forms in [
        ("index.html", "board", FORMS[:3]),
        ("protocols/synth.html", "synth", FORMS),
        ("protocols/vggss.html", "vggss-reported", FORMS[:3]),
    ]:
        up = "../" * page.count("/")
        links = re.findall(r'href="([^"]*)" download', pages[page])
        assert {f"{up}downloads/{name}.{form}" for form in forms} <= set(links)
        assert all(link.removeprefix(up) in pages for link in links)
    with io.StringIO(pages["downloads/reported.csv"]) as text:
        assert len(list(csv.DictReader(text))) == len(
            {
                tuple(
                    each.model_dump(
                        exclude={"metric", "value", "unit", "note", "printed_as"}
                    ).values()
                )
                for each in board.published
            }
        )
