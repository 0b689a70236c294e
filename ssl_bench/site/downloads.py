"""Files that tables can be downloaded as: CSV, JSON, LaTeX and BibTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ssl_bench.files import json_text
from ssl_bench.interchange.latex import booktabs, escape_latex, latex_row
from ssl_bench.leaderboard.board import Board, Competition, Entry
from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.leaderboard.papers import key_named_in, known_papers
from ssl_bench.scoring.formatting import Position, scale_of, units_in_words, value_of
from ssl_bench.scoring.results import MeasuredValue
from ssl_bench.site.matrix import Matrix, world_of
from ssl_bench.site.printed import PrintedTable, printed_for, printed_table
from ssl_bench.site.tables import Column, Row, Table, listens

FOLDER = "downloads"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")

Value = str | float | int | None


@dataclass(frozen=True)
class Download:
    """A table as files.

    Attributes
    ----------
    name, title
        Of the files, and of the table.
    about
        Everything that a reader of the numbers must know, in one line.
    records
        Rows for CSV and JSON, by column; shares in percent, as on the page.
    heads, lines
        The same for LaTeX, as text, best entries of a protocol in bold.
    papers
        An entry of BibTeX for each paper that the rows cite.
    """

    name: str
    title: str
    about: str
    records: tuple[dict[str, Value], ...]
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    papers: tuple[str, ...] = ()

    @property
    def forms(self) -> dict[str, str]:
        """Text of each file, by the ending of its name."""
        found = {"csv": self._csv(), "json": self._json(), "tex": self._latex()}
        return found | ({"bib": "\n".join(self.papers)} if self.papers else {})

    def _csv(self) -> str:
        text = io.StringIO()
        columns = list(dict.fromkeys(name for record in self.records for name in record))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        for record in self.records:
            writer.writerow({name: _harmless(value) for name, value in record.items()})
        return text.getvalue()

    def _json(self) -> str:
        return json_text({"title": self.title, "about": self.about, "rows": list(self.records)})

    def _latex(self) -> str:
        lines = [
            latex_row(self.heads),
            r"\midrule",
            *(" & ".join(line) + r" \\" for line in self.lines),
        ]
        return booktabs(
            lines,
            "l" + "r" * (len(self.heads) - 1),
            f"{self.title}. {self.about}",
            re.sub("[^a-z0-9]+", "-", self.name),
        )


def _harmless(value: Value) -> Value:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def entry_download(competition: Competition, table: Table) -> Download:
    """The measured entries of one protocol, with what each has without sound."""
    protocol = competition.protocol
    rows = (*table.rows, *table.references)
    columns = [
        each for each in table.columns if each.kind in ("kept", "number") and not each.is_hidden
    ]
    world = world_of(protocol, embedded=competition.embedded)
    return Download(
        competition.folder,
        f"{protocol.title} ({protocol.label}, version {protocol.version})",
        f"{world}. {units_in_words(table.measures)}, with 95 % intervals. Without sound: the best "
        "that is reached without listening; hearing: the score minus that. Protocol digest "
        f"{protocol.digest}.",
        tuple(_record(row, table.measures) for row in rows),
        tuple(column.head for column in columns),
        tuple(_latex_line(row, columns) for row in rows),
        papers_of(row.entry.card for row in table.rows if row.entry is not None),
    )


def _record(row: Row, measures: Sequence[str]) -> dict[str, Value]:
    entry = row.entry
    record: dict[str, Value] = {
        "kind": row.kind,
        "group": int(row.group) if row.group else None,
        "best rank": None if row.standing is None else row.standing.best_rank,
        "worst rank": None if row.standing is None else row.standing.worst_rank,
        "name": row.name,
        "slug": None if entry is None else entry.slug,
    }
    for measure in measures:
        record |= _values(measure, value_of(row.values, measure))
        found = row.position_by(measure)
        if entry is not None and found is not None:
            record |= _hearing(f"{measure} ", entry, found)
    if entry is not None:
        record |= row.traits
    return record


def _hearing(above: str, entry: Entry, found: Position) -> dict[str, Value]:
    if not listens(entry):
        return {}
    return {
        **_values(f"{above}without sound", found.without_sound),
        f"{above}without sound by": found.best_without,
        **_values(f"{above}hearing", found.adds),
        f"{above}hearing is shown": found.hearing is not None and found.hearing.is_shown,
    }


def _values(name: str, value: MeasuredValue | None) -> dict[str, Value]:
    if value is None:
        return {name: None}
    return {
        name: _number(value.value, value.measure),
        f"{name} low": _number(value.low, value.measure),
        f"{name} high": _number(value.high, value.measure),
    }


def _number(value: float | None, measure: str) -> float | None:
    return None if value is None else round(scale_of(measure) * value, 6)


def _latex_line(row: Row, columns: Sequence[Column]) -> tuple[str, ...]:
    line = []
    for column in columns:
        cell = column.cell(row)
        text = escape_latex(cell.text)
        if row.group == "1" and column.head == row.values[0].measure:
            text = rf"\textbf{{{text}}}"
        if column.head == "Hearing" and cell.under:
            text += rf" {{\scriptsize {escape_latex(cell.under)}}}"
        line.append(text)
    return tuple(line)


def matrix_download(matrix: Matrix) -> Download:
    """Every method on every protocol."""
    columns = matrix.columns
    worlds = {column.folder: world for world, _, own in matrix.worlds for column in own}
    records: list[dict[str, Value]] = []
    lines = []
    for row in (row for group in matrix.groups for row in group.rows):
        texts = [row.name]
        for column, cell in zip(columns, row.cells, strict=True):
            texts.append("" if cell is None else f"{cell.score} ({cell.hearing})")
            if cell is None:
                continue
            found = cell.position
            records.append(
                {
                    "name": row.name,
                    "slug": cell.entry.slug,
                    "modality": cell.entry.card.modality,
                    "world": worlds[column.folder],
                    "protocol": column.protocol.label,
                    "measure": column.measure,
                    **_values("score", found.value),
                    **_hearing("", cell.entry, found),
                    **_values("floor", found.floor),
                    **_values("ceiling", found.ceiling),
                }
            )
        lines.append(tuple(map(escape_latex, texts)))
    return Download(
        "board",
        "ssl-bench: score and hearing of every method on every protocol",
        "Score by the first measure of each protocol, in percent, and in brackets what hearing "
        "adds to the best that is reached without sound. The embedded world is pictures of "
        "coloured shapes made by code: its figures say nothing about published checkpoints.",
        tuple(records),
        ("Method", *(f"{column.protocol.label} {column.measure}" for column in columns)),
        tuple(lines),
    )


def printed_download(name: str, title: str, printed: PrintedTable) -> Download:
    """Figures that papers print."""
    records: tuple[dict[str, Value], ...] = tuple(
        {
            "method": row.figure.method,
            "variant": row.figure.variant,
            "paper": row.label,
            "address": "" if row.paper is None else row.paper.address,
            "table": row.figure.table,
            "modality": row.figure.modality,
            "vision pretraining": row.figure.vision_pretraining,
            "trained on": row.figure.train_set,
            "test set": row.figure.test_set,
            "protocol": row.figure.protocol,
            **dict(zip(printed.metrics, (cell.exact for cell in row.cells), strict=True)),
            "conflict": str(row.in_conflict).lower(),
            "doubt": str(row.in_doubt).lower(),
            "remarks": "; ".join(row.notes),
        }
        for row in printed.rows
    )
    lines = tuple(
        tuple(
            map(
                escape_latex,
                (
                    ", ".join(filter(None, (row.figure.method, row.figure.variant))),
                    row.label,
                    row.figure.train_set,
                    row.figure.test_set,
                    *(cell.exact for cell in row.cells),
                ),
            )
        )
        for row in printed.rows
    )
    return Download(
        name,
        title,
        "As printed in papers, in percent; not measured here.",
        records,
        ("Method", "Printed in", "Trained on", "Test set", *printed.metrics),
        lines,
        papers_printing(printed),
    )


def papers_of(cards: Iterable[SubmissionCard]) -> tuple[str, ...]:
    """An entry of BibTeX for each paper that cards name, each once.

    A paper that is not known here is called by the first card that names it.
    """
    found: dict[str, str] = {}
    for card in cards:
        if card.paper is not None:
            key = key_named_in(card.paper)
            if key is not None:
                found.setdefault(key, known_papers()[key].bibtex(key))
            else:
                found.setdefault(f"{card.paper}\n", _unknown_paper(card))
    return tuple(found.values())


def papers_printing(printed: PrintedTable) -> tuple[str, ...]:
    """An entry of BibTeX for each paper that a table is printed in."""
    keys = dict.fromkeys(row.figure.paper for row in printed.rows if row.paper is not None)
    return tuple(known_papers()[key].bibtex(key) for key in keys)


def _unknown_paper(card: SubmissionCard) -> str:
    """What a card says of a paper, as an entry of BibTeX."""
    reference = card.paper or ""
    years = _YEAR.findall(reference)
    fields = [f"  note = {{{escape_latex(reference)}}}"]
    fields += [f"  year = {{{years[-1]}}}"] if years else []
    fields += [f"  howpublished = {{\\url{{{card.paper_address}}}}}"] if card.paper_address else []
    return f"@misc{{{card.slug},\n" + ",\n".join(fields) + "\n}\n"


def site_downloads(
    board: Board, tables: Mapping[str, Table], matrix: Matrix
) -> Iterator[tuple[str, str]]:
    """Every file that can be downloaded: its path within the site, and its text."""
    found = [matrix_download(matrix)] if matrix.groups else []
    found += [
        entry_download(board.competitions[folder], table)
        for folder, table in tables.items()
        if table.rows
    ]
    for folder in board.folders:
        printed = printed_table(printed_for(board.protocol_of(folder), board.published))
        if printed.rows:
            title = f"{board.protocol_of(folder).title}, reported in papers"
            found.append(printed_download(f"{folder}-reported", title, printed))
    if board.published:
        every = printed_table(board.published)
        found.append(printed_download("reported", "Figures reported in papers", every))
    for each in found:
        for ending, text in each.forms.items():
            yield f"{FOLDER}/{each.name}.{ending}", text


def files_of_download(name: str, downloads: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Title and path of each file of a table that can be downloaded; none where there is none."""
    titles = {"csv": "CSV", "json": "JSON", "tex": "LaTeX", "bib": "BibTeX"}
    paths = ((title, f"{FOLDER}/{name}.{ending}") for ending, title in titles.items())
    return tuple((title, path) for title, path in paths if path in downloads)
