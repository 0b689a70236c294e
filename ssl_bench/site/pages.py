"""Which pages a site has, and what each shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ssl_bench.leaderboard.board import Board, Competition
from ssl_bench.leaderboard.papers import known_papers, paper_named_in
from ssl_bench.leaderboard.submissions import is_embedded
from ssl_bench.measures.definition import RULES
from ssl_bench.measures.values import DEFINITIONS, parse_measure
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.protocols.protocol import Protocol, dialect_names, load_dialect
from ssl_bench.reproduction.document import read_reproduced
from ssl_bench.reproduction.grids import claims_grid, grids, heading, notes
from ssl_bench.scoring.explain import RULE_WORDS, SIGNS, by_use, explain_kind, threshold_words
from ssl_bench.site.downloads import files_of_download, site_downloads
from ssl_bench.site.entry_page import entry_content, trial_scripts
from ssl_bench.site.matrix import WORLDS, Matrix, matrix_of, world_of
from ssl_bench.site.printed import (
    TEST_SETS,
    printed_for,
    printed_of,
    printed_sections,
    printed_table,
)
from ssl_bench.site.rendering import render
from ssl_bench.site.reported import reported_picture
from ssl_bench.site.tables import Table, entry_table, table_filters


def site_pages(board: Board, *, documentation: str = "") -> Iterator[tuple[str, str]]:
    """Every page of a board's site, and every file to download: path within the site, and text.

    With the address of a `documentation`, from the site's folder, every page leads there.
    """
    page = partial(_page, documentation=documentation)
    tables = {folder: entry_table(each) for folder, each in board.competitions.items()}
    matrix = matrix_of(board)
    downloads = dict(site_downloads(board, tables, matrix))
    yield from downloads.items()
    yield page("index", _overview(board, matrix, downloads))
    yield page("measures", _measures())
    dialects = [load_dialect(name) for name in dialect_names()]
    shown = [
        (each, threshold_words(each.threshold), _facts(each.model_dump(mode="json")))
        for each in dialects
    ]
    yield page("dialects", {"dialects": shown})
    yield page("reported", _reported(board, downloads))
    yield page("reproduced", reproduced_content())
    for folder in board.folders:
        content = _protocol(board, folder, tables.get(folder), downloads)
        yield page("protocol", content, f"protocols/{folder}.html")
    for name in list_baselines():
        yield page("baseline", _baseline(board, tables, name), f"baselines/{name}.html")
    for folder, competition in board.competitions.items():
        for slug, entry in competition.entries.items():
            content = entry_content(competition, entry)
            content["world"] = _world(board, folder)
            yield page("entry", content, f"entries/{folder}/{slug}.html")
        yield from trial_scripts(competition)


def _page(
    template: str, content: dict[str, Any], path: str = "", *, documentation: str = ""
) -> tuple[str, str]:
    path = path or f"{template}.html"
    up = "../" * path.count("/")
    return path, render(
        f"{template}.html.jinja", up=up, path=path, documentation=documentation, **content
    )


def _world(board: Board, folder: str) -> tuple[str, str]:
    """Which kind of test set the pages of a protocol are about, and what it is."""
    protocol = board.protocol_of(folder)
    world = world_of(protocol, embedded=is_embedded(protocol))
    return world, WORLDS[world]


def _measures() -> dict[str, Any]:
    """Every measure by what it is for, in words."""
    uses = [
        (
            title,
            about,
            [(name, explain_kind(DEFINITIONS[name]), DEFINITIONS[name].facts()) for name in names],
        )
        for title, about, names in by_use(DEFINITIONS)
    ]
    return {"uses": uses, "rules": {name: RULE_WORDS[name] for name in RULES}, "signs": SIGNS}


def _overview(board: Board, matrix: Matrix, downloads: Mapping[str, str]) -> dict[str, Any]:
    waiting = [folder for folder in board.folders if not _has_entries(board, folder)]
    return {
        "board": board,
        "matrix": matrix,
        "n_protocols": len(matrix.columns),
        "waiting": [
            (
                folder,
                board.protocol_of(folder),
                len(printed_for(board.protocol_of(folder), board.published)),
            )
            for folder in waiting
        ],
        "baselines": [load_baseline(name).card for name in list_baselines()],
        "n_figures": len(board.published),
        "downloads": files_of_download("board", downloads),
    }


def _has_entries(board: Board, folder: str) -> bool:
    return folder in board.competitions and bool(board.competitions[folder].entries)


def _protocol(
    board: Board, folder: str, table: Table | None, downloads: Mapping[str, str]
) -> dict[str, Any]:
    protocol = board.protocol_of(folder)
    competition = board.competitions.get(folder)
    figures = printed_for(protocol, board.published)
    printed = printed_table(figures)
    return {
        "folder": folder,
        "protocol": protocol,
        "competition": competition,
        "table": table,
        "world": _world(board, folder),
        "stands_in": _IN_PLACE_OF_MAPS.get(protocol.composition.kind, ""),
        "dialects": [] if competition is None else _winners(competition),
        "filters": table_filters([table] if table else [], printed),
        "definitions": [
            (text, parse_measure(text).definition.name, parse_measure(text).definition.title)
            for text in protocol.measures
        ],
        "printed": printed,
        "picture": None if competition is None else reported_picture(competition, figures),
        "facts": _facts(protocol.model_dump(mode="json")),
        "downloads": files_of_download(folder, downloads),
        "printed_downloads": files_of_download(f"{folder}-reported", downloads),
    }


def reproduced_content() -> dict[str, Any]:
    """Tables of papers that were run again, and how many of their claims hold."""
    tables = read_reproduced()
    verdicts = Counter(verdict for each in tables for verdict in each.verdicts.values())
    sections = [
        {
            "id": each.label.replace(":", "-"),
            "short": f"{known_papers()[each.paper].label}, {each.table}",
            "title": heading(each),
            "about": each.about,
            "grids": [*filter(None, [claims_grid(each)]), *grids(each)],
            "notes": notes(each),
        }
        for each in tables
    ]
    return {
        "sections": sections,
        "n_claims": verdicts.total(),
        "n_held": verdicts["holds"],
        "n_reversed": verdicts["reversed"],
        "n_open": verdicts["not shown"],
        "n_mixed": verdicts["differs by measure"],
        "n_missing": verdicts["cannot be run here"],
    }


def _reported(board: Board, downloads: Mapping[str, str]) -> dict[str, Any]:
    """Printed figures by test set, with the protocols that ask the same."""
    sections = printed_sections(board.published)
    names = list(dict.fromkeys(table.rows[0].figure.test_set for _, _, table in sections))
    asked: dict[str, list[tuple[str, Protocol]]] = {name: [] for name, _, _ in sections}
    for folder in board.folders:
        protocol = board.protocol_of(folder)
        for name in protocol.reported:
            section = f"{name}-retrieval" if protocol.answers == "retrieval" else name
            if section in asked:
                asked[section].append((folder, protocol))
    by_test_set = ("testset", "Test set", [(name, TEST_SETS.get(name, name)) for name in names])
    return {
        "n_figures": len(board.published),
        "sections": sections,
        "protocols": asked,
        "downloads": files_of_download("reported", downloads),
        "filters": [by_test_set, *table_filters((), printed_table(board.published))],
    }


_IN_PLACE_OF_MAPS = {
    "retrieval": (
        "A ranking cannot be made without sound, so chance is used instead: hearing is the score "
        "minus what a random order reaches."
    ),
    "negative_audio": (
        "Whether a map falls silent cannot be measured without sound, so maps that ignore it are "
        "used: they are the same for every sound of a picture."
    ),
}
"""What is used in place of maps made without sound, by composition, where there can be none."""


def _winners(competition: Competition) -> list[dict[str, Any]]:
    """Who comes first under each dialect."""
    first = next(iter(competition.standings), "")
    return [
        {
            "name": name,
            "title": title,
            "winners": [slug for slug, rank in ranks.items() if rank == 1],
            "rank_of_first": ranks.get(first),
        }
        for name, (title, ranks) in competition.under_dialects.items()
    ]


def _baseline(board: Board, tables: dict[str, Table], name: str) -> dict[str, Any]:
    card = load_baseline(name).card
    return {
        "card": card,
        "paper": paper_named_in(card.paper),
        "recipe": load_baseline(name).recipe,
        "entries": [
            (folder, board.protocol_of(folder), table.measures[0], row)
            for folder, table in tables.items()
            for row in table.rows
            if row.entry is not None and row.entry.card.baseline == name
        ],
        "printed": printed_table(printed_of(card, board.published)),
    }


def _facts(content: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    """A file's fields, one a line, without prose and without what is empty."""
    found: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{above}{key}"
        if value in (None, "", [], {}, ()) or name in ("description", "title"):
            continue
        if isinstance(value, dict):
            found += _facts(value, f"{name}.")
        elif isinstance(value, list):
            found.append((name, ", ".join(map(str, value))))
        else:
            found.append((name, json.dumps(value) if isinstance(value, bool) else str(value)))
    return found
