"""Files of papers' tables: which runs answer a row, and what the table is taken to claim.

``protocols/tables/PAPER-TABLE.toml`` says, for one table of one paper, which protocol stands
for each of its columns, which model for each of its rows, and which orders of rows it claims. The
printed figures themselves are those of ``leaderboard/published.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ssl_bench.errors import SslBenchError, one_of
from ssl_bench.files import content_folder
from ssl_bench.leaderboard.published import PublishedFigure, read_published
from ssl_bench.protocols.protocol import load_protocol
from ssl_bench.schemas import Strict, read_toml

Scale = Literal["synth", "collage", "full"]
"""``synth`` and ``collage``: the small models on test sets that need no download. ``full``: the
published networks on the paper's own test sets."""

SCALES: tuple[Scale, ...] = ("synth", "collage", "full")

_Name = Annotated[str, Field(min_length=1, max_length=80)]


class TableError(SslBenchError):
    """A file of a paper's table is missing or wrong, or a run of it cannot be made."""

    code = "E_TABLE"


class Column(Strict):
    """A column of a table: what was asked.

    Attributes
    ----------
    test_set, protocol
        As ``published.csv`` has them.
    synth, collage, full
        The protocol that asks it at each scale; None where none can.
    part
        A grouping and its level, where the column is a part of the trials: ``["type", "A"]``.
    """

    test_set: _Name
    protocol: _Name
    synth: _Name | None = None
    collage: _Name | None = None
    full: _Name | None = None
    part: tuple[_Name, _Name] | None = None

    def asked(self, scale: Scale) -> str | None:
        """The protocol of a scale; None where there is none."""
        found: str | None = getattr(self, scale)
        return found


class Training(Strict):
    """How the weights of a row are trained at one scale, where they are not those that ship.

    Attributes
    ----------
    variant
        Another variant of the model than that of the scale.
    changes
        ``KEY=VALUE`` each, as ``train --change`` takes them.
    """

    variant: _Name | None = None
    changes: tuple[Annotated[str, Field(pattern=r"^[a-z_.]+=[\w.-]+$")], ...] = ()

    @property
    def slug(self) -> str:
        """What names of files say of it.

        Examples
        --------
        >>> Training(changes=("scenes=500", "settings.matching=mean")).slug
        'scenes-500-matching-mean'
        """
        words = [text.rpartition(".")[2].replace("=", "-") for text in self.changes]
        return "-".join([*([self.variant] if self.variant else []), *words])


class TableRow(Strict):
    """A row, or several that differ in what they were trained on.

    Attributes
    ----------
    id
        Short name, by which claims and weights name it.
    method, variant, train_set
        As ``published.csv`` has them; without a `train_set`, all of that method and variant.
    model
        The baseline that stands for it; None where there is none.
    weights_of
        Id of the row whose weights it takes, where they are not its own.
    fixed
        Whether its weights are the same whatever the seed: those of another's training.
    alpha, options, options_at
        How the model is loaded: weight of the audio-visual map beside an object prior, and others,
        which may differ at a scale.
    training
        By scale, where the weights that ship are not its own.
    minus
        Two ids: this row is the difference of these rows.
    missing
        Why nobody can run it, where there is no model; at one scale only, in `missing_at`.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]
    method: _Name
    variant: str = ""
    train_set: _Name | None = None
    model: _Name | None = None
    weights_of: _Name | None = None
    fixed: bool = False
    alpha: float | None = None
    options: Mapping[str, Any] = Field(default_factory=dict)
    options_at: Mapping[Scale, Mapping[str, Any]] = Field(default_factory=dict)
    training: Mapping[Scale, Training] = Field(default_factory=dict)
    minus: tuple[_Name, _Name] | None = None
    missing: str | None = None
    missing_at: Mapping[Scale, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        if [self.model, self.minus, self.missing].count(None) != 2:
            raise ValueError(f"row {self.id} needs just one of model, minus and missing")
        return self

    @property
    def label(self) -> str:
        """Method and variant, for people."""
        return f"{self.method}, {self.variant}" if self.variant else self.method


class Claim(Strict):
    """An order of two rows that the table shows, as its paper reads it.

    Attributes
    ----------
    says
        The claim in words.
    better, worse
        Ids of rows: the first scores higher than the second.
    test_set, worse_test_set
        The column concerned, and that of `worse` where it is another; None for the first.
    measure
        None for all in which the table prints the first higher.
    """

    says: Annotated[str, Field(min_length=10, max_length=200)]
    better: _Name
    worse: _Name
    test_set: _Name | None = None
    worse_test_set: _Name | None = None
    measure: _Name | None = None


class PaperTable(Strict):
    """One table of one paper.

    Attributes
    ----------
    paper, table
        As ``published.csv`` has them.
    about
        What the table shows, in a sentence.
    note
        What stands for what in the small worlds, where a reader has to know it.
    dialect
        The rules that score it.
    """

    paper: _Name
    table: _Name
    about: Annotated[str, Field(min_length=10, max_length=300)]
    note: Annotated[str, Field(min_length=10, max_length=300)] | None = None
    dialect: _Name | None = None
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    rows: Annotated[tuple[TableRow, ...], Field(min_length=1)]
    claims: tuple[Claim, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        ids = [row.id for row in self.rows]
        if len(set(ids)) < len(ids):
            raise ValueError("two rows have one id")
        named = [each for claim in self.claims for each in (claim.better, claim.worse)]
        named += [each for row in self.rows for each in row.minus or ()]
        named += [row.weights_of for row in self.rows if row.weights_of is not None]
        unknown = sorted(set(named) - set(ids))
        if unknown:
            raise ValueError(f"there is no row {unknown[0]}")
        return self

    @property
    def label(self) -> str:
        """Paper and table, as the command takes them."""
        return f"{self.paper}:{self.table}"

    def row(self, row_id: str) -> TableRow:
        """The row of an id."""
        return next(row for row in self.rows if row.id == row_id)

    def row_of(self, figure: PublishedFigure) -> TableRow | None:
        """The row that a printed figure stands in; None if the file lacks it."""
        for row in self.rows:
            same = (row.method, row.variant) == (figure.method, figure.variant)
            if same and row.train_set in (None, figure.train_set):
                return row
        return None

    def column_of(self, figure: PublishedFigure) -> Column | None:
        """The column that a printed figure stands in; None if the file lacks it."""
        asked = (figure.test_set, figure.protocol)
        found = (each for each in self.columns if (each.test_set, each.protocol) == asked)
        return next(found, None)

    def on(self, test_set: str) -> Self:
        """The same table with a test set of the user's own in place of the paper's, at scale full.

        TableError where its columns are of several test sets or splits.

        Examples
        --------
        >>> [column.full for column in load_table("oya2020:4").on("mine").columns]
        ['type-ab@mine', 'type-ab@mine']
        """
        asked = [column.full for column in self.columns if column.full is not None]
        places = {(each.name, each.split) for each in (load_protocol(p).test_set for p in asked)}
        if len(places) != 1:
            raise TableError(
                f"the columns of {self.label} are of several test sets, so none can stand for them",
                code="E_TABLE_TEST_SET",
                remedy="evaluate the models on yours, and give the runs to 'ssl-bench report'",
            )
        columns = tuple(
            column
            if column.full is None
            else column.model_copy(update={"full": f"{column.full.partition('@')[0]}@{test_set}"})
            for column in self.columns
        )
        return self.model_copy(update={"columns": columns})

    def printed(self) -> tuple[PublishedFigure, ...]:
        """The table's printed figures."""
        own = (self.paper, self.table)
        return tuple(each for each in read_published() if (each.paper, each.table) == own)


def table_names() -> list[str]:
    """Names of the tables that ship, such as ``mo2022:5``.

    Examples
    --------
    >>> "mo2022:5" in table_names()
    True
    """
    return sorted(path.stem.replace("-", ":", 1) for path in _folder().glob("*.toml"))


def load_table(name: str) -> PaperTable:
    """Read the file of one table.

    Raises
    ------
    TableError
        If there is no such table, or its file is wrong.

    Examples
    --------
    >>> load_table("mo2022:5").row("cls-only").model
    'ogl-cls'
    """
    known = table_names()
    if name not in known:
        papers = dict.fromkeys(each.partition(":")[0] for each in known)
        raise TableError(
            f"no table is called {name!r}",
            code="E_TABLE_UNKNOWN",
            remedy=one_of([*known, *papers, "all"], name),
        )
    return read_toml(_folder() / f"{name.replace(':', '-', 1)}.toml", PaperTable, error=TableError)


def tables_named(name: str) -> list[PaperTable]:
    """The tables of ``PAPER:TABLE``, of a whole paper, or ``all``; errors as :func:`load_table`.

    Examples
    --------
    >>> [table.table for table in tables_named("lin2021")]
    ['1', '2']
    """
    known = table_names()
    if name == "all":
        return [load_table(each) for each in known]
    of_paper = [each for each in known if each.partition(":")[0] == name]
    return [load_table(each) for each in of_paper or [name]]


def _folder() -> Path:
    return content_folder("protocols") / "tables"
