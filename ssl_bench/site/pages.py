"""Which pages a site has, and what each shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ssl_bench.leaderboard.board import Board, Competition
from ssl_bench.measures.values import DEFINITIONS, parse_measure
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.protocols.protocol import dialect_names, load_dialect
from ssl_bench.site.entry_page import entry_content
from ssl_bench.site.printed import printed_for, printed_of, printed_table
from ssl_bench.site.rendering import render
from ssl_bench.site.tables import Table, entry_table, table_filters


def site_pages(board: Board) -> Iterator[tuple[str, str]]:
    """Every page of a board's site: its path within the site, and its text."""
    tables = {folder: entry_table(each) for folder, each in board.competitions.items()}
    yield _page("index", _overview(board, tables))
    yield _page("measures", {"definitions": [(n, each.facts()) for n, each in DEFINITIONS.items()]})
    dialects = [load_dialect(name) for name in dialect_names()]
    shown = [(each, _facts(each.model_dump(mode="json"))) for each in dialects]
    yield _page("dialects", {"dialects": shown})
    printed = printed_table(board.published)
    yield _page("reported", {"printed": printed, "filters": table_filters((), printed)})
    for folder in board.folders:
        content = _protocol(board, folder, tables.get(folder))
        yield _page("protocol", content, f"protocols/{folder}.html")
    for name in list_baselines():
        yield _page("baseline", _baseline(board, tables, name), f"baselines/{name}.html")
    for folder, competition in board.competitions.items():
        for slug, entry in competition.entries.items():
            content = entry_content(competition, entry)
            yield _page("entry", content, f"entries/{folder}/{slug}.html")


def _page(template: str, content: dict[str, Any], path: str = "") -> tuple[str, str]:
    path = path or f"{template}.html"
    up = "../" * path.count("/")
    return path, render(f"{template}.html.jinja", up=up, path=path, **content)


def _overview(board: Board, tables: dict[str, Table]) -> dict[str, Any]:
    protocols = [
        {
            "folder": folder,
            "protocol": board.protocol_of(folder),
            "embedded": folder not in tables or board.competitions[folder].embedded,
            "table": table,
            "first": [row for row in table.rows if row.group == table.rows[0].group]
            if table
            else [],
        }
        for folder in board.folders
        for table in [tables.get(folder)]
    ]
    protocols.sort(key=lambda each: (each["table"] is None, each["folder"]))
    return {
        "board": board,
        "protocols": protocols,
        "baselines": [load_baseline(name).card for name in list_baselines()],
        "n_figures": len(board.published),
    }


def _protocol(board: Board, folder: str, table: Table | None) -> dict[str, Any]:
    protocol = board.protocol_of(folder)
    competition = board.competitions.get(folder)
    printed = printed_table(printed_for(protocol, board.published))
    return {
        "folder": folder,
        "protocol": protocol,
        "competition": competition,
        "table": table,
        "dialects": [] if competition is None else _winners(competition),
        "filters": table_filters([table] if table else [], printed),
        "definitions": [
            (text, parse_measure(text).definition.name, parse_measure(text).definition.title)
            for text in protocol.measures
        ],
        "printed": printed,
        "facts": _facts(protocol.model_dump(mode="json")),
    }


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
