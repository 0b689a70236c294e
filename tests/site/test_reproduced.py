"""The page of tables that were run again, and the file that it is made of."""

from __future__ import annotations

from collections import Counter

from ssl_bench.reproduction.document import read_reproduced
from ssl_bench.reproduction.reproduce import judged
from ssl_bench.reproduction.table import load_table, table_names
from ssl_bench.site.pages import reproduced_content
from ssl_bench.site.rendering import render


def test_every_table_that_ships_was_run() -> None:
    assert [each.label for each in read_reproduced()] == table_names()


def test_printed_figures_and_rows_are_those_of_the_tables_now() -> None:
    """The file is made again where a table changes."""
    for each in read_reproduced():
        table = load_table(each.label)
        printed = Counter(cell.printed for line in each.lines for cell in line.cells)
        assert printed == Counter(figure.value for figure in table.printed())
        assert list(each.verdicts) == [claim.says for claim in table.claims]
        assert each.dialect == table.dialect


def test_verdicts_follow_from_the_differences() -> None:
    for each in read_reproduced():
        for claim in each.claims:
            if claim.differences:
                numbers = zip(claim.differences, claim.lows, claim.highs, strict=True)
                assert claim.verdict == judged(list(numbers))
            else:
                assert claim.reason


def test_no_reason_names_a_place_of_one_machine() -> None:
    reasons = [line.reason or "" for each in read_reproduced() for line in each.lines]
    assert not [reason for reason in reasons if "/tmp" in reason or "/home" in reason]


def test_the_page_counts_claims_and_has_a_section_for_each_table() -> None:
    content = reproduced_content()
    page = render("reproduced.html.jinja", up="", path="reproduced.html", **content)
    held = sum(
        verdict == "holds" for each in read_reproduced() for verdict in each.verdicts.values()
    )
    assert f"{held} of " in page
    for name in table_names():
        assert f'id="{name.replace(":", "-")}"' in page
