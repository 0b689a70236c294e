"""Which pages a site has, what each depends on, and how it is rendered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ssl_bench.files import digest_of_code, sha256_of_file, sha256_of_json
from ssl_bench.leaderboard.entry import Entry
from ssl_bench.measures.values import DEFINITIONS, parse_measure
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.protocols.protocol import load_dialect
from ssl_bench.site.board import Board, Competition
from ssl_bench.site.entry_page import entry_content
from ssl_bench.site.filters import table_filters
from ssl_bench.site.printed import printed_for, printed_of, printed_table
from ssl_bench.site.rendering import render
from ssl_bench.site.rows import entry_table

_STATIC = ("site.css", "site.js", "theme.js")


@dataclass(frozen=True, eq=False)
class Page:
    """One file of the site.

    Attributes
    ----------
    path
        Within the site.
    inputs
        Digest of everything that it depends on.
    render
        Makes its text.
    """

    path: str
    inputs: str
    render: Callable[[], str]


def site_pages(board: Board) -> list[Page]:
    """Every page of a board's site, and the style and scripts that they share."""
    return [*shared_files(), *_pages(board)]


def entry_page_path(folder: str, slug: str) -> str:
    """Path of an entry's page."""
    return f"entries/{folder}/{slug}.html"


def code_version() -> str:
    """SHA-256 over everything but the board that decides how a page looks and what it says."""
    return digest_of_code(
        suffixes=(".py", ".jinja", ".css", ".js"), content=("protocols", "baselines")
    )


def shared_files() -> Iterator[Page]:
    """The style and scripts that all pages share, whatever a board holds."""
    folder = Path(__file__).parent / "assets"
    for name in _STATIC:
        path = folder / name
        yield Page(
            f"assets/{name}", sha256_of_file(path), partial(path.read_text, encoding="utf-8")
        )


def _pages(board: Board) -> Iterator[Page]:
    whole = {
        "entries": sorted(
            [folder, slug, digest] for (folder, slug), digest in board.digests.items()
        ),
        "published": [figure.model_dump(mode="json") for figure in board.published],
    }
    everything = sha256_of_json([code_version(), whole])
    yield _page("index.html", everything, "index", lambda: _overview(board))
    yield _page("measures.html", code_version(), "measures", _measures)
    yield _page("dialects.html", code_version(), "dialects", _dialects)
    yield _page("reported.html", everything, "reported", lambda: _reported(board))
    for folder in board.folders:
        content = partial(_protocol, board, folder)
        inputs = sha256_of_json([code_version(), whole["published"], _entries_of(board, [folder])])
        yield _page(f"protocols/{folder}.html", inputs, "protocol", content)
    for name in list_baselines():
        content = partial(_baseline, board, name)
        found = _entries_of(board, [folder for folder, _ in _contests(board, name)])
        inputs = sha256_of_json([code_version(), whole["published"], found])
        yield _page(f"baselines/{name}.html", inputs, "baseline", content)
    for folder, competitions in board.competitions.items():
        for competition in competitions:
            around = _surroundings(competition)
            for slug, entry in competition.entries.items():
                inputs = sha256_of_json([code_version(), board.digests[folder, slug], around])
                content = partial(_entry, competition, entry)
                yield _page(entry_page_path(folder, slug), inputs, "entry", content)


def _entries_of(board: Board, folders: list[str]) -> list[list[str]]:
    """Digests of all entries of some protocols."""
    return sorted(
        [folder, slug, digest]
        for (folder, slug), digest in board.digests.items()
        if folder in folders
    )


def _contests(board: Board, baseline: str) -> list[tuple[str, Competition]]:
    """Competitions, under protocols as they ship, that a baseline has an entry in."""
    return [
        (folder, competition)
        for folder, competitions in board.competitions.items()
        for competition in competitions
        if competition.current
        and any(entry.card.baseline == baseline for entry in competition.entries.values())
    ]


def _page(path: str, inputs: str, template: str, content: Callable[[], dict[str, Any]]) -> Page:
    def rendered() -> str:
        up = "../" * path.count("/")
        return render(f"{template}.html.jinja", up=up, path=path, **content())

    return Page(path, sha256_of_json([path, inputs]), rendered)


def _surroundings(competition: Competition) -> Any:
    """What pages of entries say of the other entries."""
    return [
        competition.digest,
        [
            [each.name, each.group, each.best_rank, each.worst_rank]
            for each in competition.ties.standings
        ],
        [
            [slug, entry.card.name, entry.card.baseline, entry.headline.model_dump(mode="json")]
            for slug, entry in competition.entries.items()
        ],
        [[name, title, dict(ranks)] for name, (title, ranks) in competition.under_dialects.items()],
    ]


def _overview(board: Board) -> dict[str, Any]:
    protocols = []
    for folder in board.folders:
        found = board.competitions.get(folder, ())
        current = next((each for each in found if each.current), None)
        table = None if current is None else entry_table(current)
        rows = () if table is None else table.rows
        protocols.append(
            {
                "folder": folder,
                "protocol": board.protocol_of(folder),
                "embedded": current is None or current.embedded,
                "table": table,
                "first": [row for row in rows if row.group == rows[0].group],
            }
        )
    protocols.sort(key=lambda each: (each["table"] is None, each["folder"]))
    return {
        "board": board,
        "protocols": protocols,
        "baselines": [load_baseline(name).card for name in list_baselines()],
        "n_figures": len(board.published),
    }


def _protocol(board: Board, folder: str) -> dict[str, Any]:
    protocol = board.protocol_of(folder)
    competitions = board.competitions.get(folder, ())
    tables = [entry_table(each) for each in competitions]
    printed = printed_table(printed_for(protocol, board.published))
    return {
        "folder": folder,
        "protocol": protocol,
        "competitions": [
            {"competition": each, "table": table, "dialects": _winners(each)}
            for each, table in zip(competitions, tables, strict=True)
        ],
        "filters": table_filters(tables, printed),
        "definitions": [_explained(text) for text in protocol.measures],
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


def _entry(competition: Competition, entry: Entry) -> dict[str, Any]:
    return {"folder": competition.folder, **entry_content(competition, entry)}


def _baseline(board: Board, name: str) -> dict[str, Any]:
    card, recipe = load_baseline(name).card, load_baseline(name).recipe
    entries = []
    for folder, competition in _contests(board, name):
        table = entry_table(competition)
        entries += [
            (folder, competition.protocol, table.measures[0], row)
            for row in table.rows
            if row.entry.card.baseline == name
        ]
    return {
        "card": card,
        "recipe": recipe,
        "entries": entries,
        "printed": printed_table(printed_of(card, board.published)),
    }


def _measures() -> dict[str, Any]:
    return {"definitions": [(name, each.facts()) for name, each in DEFINITIONS.items()]}


def _dialects() -> dict[str, Any]:
    from ssl_bench.protocols.protocol import dialect_names

    found = [load_dialect(name) for name in dialect_names()]
    return {"dialects": [(each, _facts(each.model_dump(mode="json"))) for each in found]}


def _reported(board: Board) -> dict[str, Any]:
    homes: dict[str, list[str]] = {}
    for folder in board.folders:
        for test_set in board.protocol_of(folder).reported:
            homes.setdefault(test_set, []).append(folder)
    printed = printed_table(board.published)
    return {"printed": printed, "filters": table_filters((), printed), "homes": homes}


def _explained(text: str) -> dict[str, Any]:
    definition = parse_measure(text).definition
    return {"text": text, "name": definition.name, "title": definition.title}


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
