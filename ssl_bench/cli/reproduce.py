"""``ssl-bench reproduce``."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.exit_codes import FAULTS_FOUND
from ssl_bench.cli.options import (
    FILE,
    FOLDER,
    choice_option,
    count_option,
    data_option,
    executor_of,
    executor_options,
    jobs_option,
    json_option,
    limit_option,
)
from ssl_bench.cli.terminal import plain_table, show, show_notes
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from rich.table import Table

    from ssl_bench.reproduction.document import Reproduction
    from ssl_bench.reproduction.grids import Form
    from ssl_bench.reproduction.table import Scale


@command()
@click.argument(
    "table", metavar="PAPER:TABLE|PAPER|all", required=False, **completed(candidates.tables)
)
@choice_option(
    "--scale",
    ("synth", "collage", "full"),
    "The small models on test sets that need no download, or the published networks on the "
    "paper's own.",
)
@count_option("--seeds", 1, "Trainings of each model, with seeds 0, 1, ... Not with full.", most=20)
@data_option
@click.option(
    "--test-set",
    metavar="NAME",
    help="Test set of your own in the data folder that stands for the paper's, such as one that "
    "'data annotate' made, for oya2020:4 (with full).",
)
@click.option(
    "--weights-dir",
    type=FOLDER,
    default="trained",
    show_default=True,
    help="Folder of weights: NAME.pth or NAME.safetensors, or what 'train --out' left there. A row "
    "without its weights says which name it needs.",
)
@click.option(
    "--train",
    "may_train",
    is_flag=True,
    help="Train the weights that are missing into that folder (not with full).",
)
@click.option(
    "--out",
    type=FOLDER,
    default="runs/reproduce",
    show_default=True,
    help="Folder that keeps maps, which the next table or time takes again.",
)
@click.option("--markdown", type=FILE, help="Also write the tables as Markdown.")
@click.option("--csv", type=FILE, help="Also write all figures as CSV.")
@click.option("--latex", type=FILE, help="Also write the tables as LaTeX.")
@limit_option
@jobs_option
@executor_options
@json_option
def reproduce(
    table: str | None,
    scale: Scale,
    seeds: int,
    data: Path | None,
    test_set: str | None,
    weights_dir: Path,
    may_train: bool,
    out: Path,
    markdown: Path | None,
    csv: Path | None,
    latex: Path | None,
    limit: int | None,
    jobs: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Run a table of a paper again, beside its printed figures; without one, list the tables.

    Each row says whether it reproduces (with full: every printed figure within the measured 95 %
    interval), or what is missing. The small worlds have figures of their own; there, claims are
    judged: one holds if the better row scores higher with every seed, and most intervals of the
    paired difference exclude zero. Weights are trained on the processor, whatever --device is.
    """
    from ssl_bench.library.reproducing import reproduce as run
    from ssl_bench.reproduction.grids import write_reproductions
    from ssl_bench.reproduction.table import load_table, table_names, tables_named

    if table is None:
        rows = [(name, load_table(name).about) for name in table_names()]
        show(plain_table(None, ("table", "what it shows"), rows, texts=(0, 1)))
        return
    with progress_bars(quiet=as_json) as (progress, notify):
        several = tables_named(table)
        if several[1:]:
            notify(f"{len(several)} tables: {', '.join(each.label for each in several)}")
        done = run(
            table,
            scale=scale,
            seeds=seeds,
            data=data,
            test_set=test_set,
            weights_dir=weights_dir,
            may_train=may_train,
            out=out,
            limit=limit,
            jobs=jobs,
            device=given["device"].partition(",")[0],
            precision=given["precision"],
            executor=executor_of(given),
            parts=given["parts"],
            tell=(progress, notify),
        )
    forms: dict[Form, Path | None] = {"markdown": markdown, "csv": csv, "latex": latex}
    for form, path in forms.items():
        if path is not None:
            write_reproductions(path, done, form)
    if as_json:
        from ssl_bench.cli.documents import print_documents

        print_documents("reproduction", done)
        return
    for each in done:
        show(*_shown(each))
    written = [str(path) for path in forms.values() if path is not None]
    show_notes([f"wrote {', '.join(written)}"] if written else [])
    if not any(line.verdict != "cannot be run here" for each in done for line in each.lines):
        sys.exit(FAULTS_FOUND)


def _shown(done: Reproduction) -> Iterator[Table | str]:
    from ssl_bench.reproduction.grids import claims_grid, grids, heading, notes

    yield heading(done)
    yield done.about
    for grid in grids(done):
        texts = [number for number, name in enumerate(grid.columns) if name in _WORDS]
        yield plain_table(grid.title, grid.columns, grid.rows, texts=texts)
    claims = claims_grid(done)
    if claims is not None:
        rows = [(str(number), *row) for number, row in enumerate(claims.rows, start=1)]
        yield plain_table(claims.title, ("#", *claims.columns), rows, texts=(1, 2, 3))
    for note in notes(done):
        yield textwrap.fill(note, 79, subsequent_indent="  ", break_on_hyphens=False)
    yield f"{done.headline}."


_WORDS = ("method", "verdict")
