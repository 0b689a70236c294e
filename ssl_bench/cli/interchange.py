"""``ssl-bench import`` and ``ssl-bench export``: from and to other people's files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssl_bench.cli.config import ConfigurableGroup, command
from ssl_bench.cli.options import (
    PATH,
    data_option,
    json_option,
    protocol_option,
    require_label_each,
    table_choice_options,
)
from ssl_bench.cli.terminal import (
    plain_table,
    show,
    unbroken,
    with_interval,
)
from ssl_bench.progress import progress_bars

if TYPE_CHECKING:
    from ssl_bench.interchange.export import Format

_STANDARD_OUTPUT = "-"


@click.group(name="import", cls=ConfigurableGroup)
def import_() -> None:
    """Import what other software wrote: maps, or cIoU per clip."""


# \b keeps the lines that follow as they are.
_MAPS_HELP = """Make a predictions file of FOLDER, which holds one map for each trial.

\b
Names   TRIAL.npy or TRIAL.png. In TRIAL, letters, digits and _ . - ~ stand for
        themselves; every other byte, and a leading full stop, may be written %XX.
.npy    (h, w) numbers, as they are; leading axes of length 1 are dropped.
.png    grey: 1 bit is 0 or 1, 8 bits are divided by 255, 16 bits by 65535, so
        white is 1. Eight bits tie many values: prefer .npy or 16 bits.

All maps have one size. Every missing, unknown, doubled or damaged file is reported at once,
and then nothing is written.
"""


@import_.command(help=_MAPS_HELP, short_help="Make predictions of a folder of maps.")
@click.argument("folder", type=PATH)
@protocol_option
@data_option
@click.option(
    "--out", required=True, metavar="FILE.npz", type=PATH, help="The predictions file to write."
)
@click.option("--model", required=True, metavar="NAME", help="Name of the model.")
@click.option(
    "--missing-fail",
    is_flag=True,
    help="Trials without a file are failures of the model, not a fault of the folder.",
)
@json_option
def maps(
    folder: Path,
    protocol: str,
    data: Path | None,
    out: Path,
    model: str,
    missing_fail: bool,
    as_json: bool,
) -> None:
    """Make a predictions file of FOLDER, which holds one map for each trial."""
    from ssl_bench.interchange.map_folder import import_maps
    from ssl_bench.trials.compositions import open_trials

    with progress_bars() as (progress, _):
        trials = open_trials(protocol, data)
        done = import_maps(
            folder, trials, out, model=model, missing_fail=missing_fail, progress=progress
        )
    if as_json:
        facts = {"file": str(out), "trials": len(trials), "maps": done.n_maps}
        from ssl_bench.cli.documents import print_document

        print_document("import-maps", {**facts, "missing": done.missing, "shape": done.shape})
        return
    height, width = done.shape
    show(f"{done.n_maps:,} of {len(trials):,} maps of {height} x {width} written to {out}")
    if done.missing:
        show(f"the {len(done.missing):,} missing ones count as failures")
    show(f"score them with: ssl-bench score {out} --protocol {trials.protocol.label}")


_CIOU_HELP = """Sum up FILE, the per-clip cIoU that the EZ-VSL test script writes.

\b
Lines   index,cIoU as in iou_test_av.txt: the index counts the tested clips in the
        order of their sorted ids. Lines id,cIoU are read too, and tabs or blanks.

Gives success at 0.5, AUC and mean cIoU over ALL trials of the protocol: a clip without a line
counts as a failure. Where some clips were not tested, numbered lines cannot be assigned to
clips unless --tested names those that were; each is then taken for a video of its own.
"""


@import_.command(
    name="ezvsl-ciou", help=_CIOU_HELP, short_help="Sum up the cIoU per clip of EZ-VSL."
)
@click.argument("file", type=PATH)
@protocol_option
@data_option
@click.option(
    "--tested",
    metavar="LIST.txt",
    type=PATH,
    help="Ids of the clips that were tested, one on each line. Default: all of the protocol's.",
)
@click.option("--out", metavar="FILE.npz", type=PATH, help="Write the score table.")
@json_option
def ezvsl_ciou(
    file: Path,
    protocol: str,
    data: Path | None,
    tested: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Sum up FILE, the per-clip cIoU that the EZ-VSL test script writes."""
    from ssl_bench.errors import SslBenchError
    from ssl_bench.interchange.ezvsl_ciou import import_ciou
    from ssl_bench.scoring.score_file import write_scores
    from ssl_bench.testsets.lists import read_id_list
    from ssl_bench.trials.compositions import open_trials

    trials = open_trials(protocol, data)
    listed = None if tested is None else read_id_list(tested, remedy="put one id on each line")
    found = import_ciou(file, trials, listed)
    if out is not None:
        if found.scores is None:
            raise SslBenchError(
                f"its {found.n_present:,} lines cannot be assigned to clips, so there is no table "
                "to write",
                code="E_CLIPS_UNKNOWN",
                where=file,
                remedy="name the clips that were tested with --tested",
            )
        write_scores(out, found.scores)
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document(
            "import-ezvsl-ciou",
            {
                "protocol": trials.protocol.label,
                "present": found.n_present,
                "expected": found.n_expected,
                "undefined": found.n_undefined,
                "by_trial": found.scores is not None,
                "measures": [value.model_dump(mode="json") for value in found.measures],
            },
        )
        return
    heads = ["percent [95 % interval]", *(value.measure for value in found.measures)]
    row = [file.name, *(with_interval(value) for value in found.measures)]
    coverage = f"Coverage: {found.n_present:,} of {found.n_expected:,} trials."
    show(plain_table(None, heads, [row]), coverage)
    if found.n_undefined:
        show(f"{found.n_undefined:,} lines hold no number; they count as failures.")
    if found.scores is None:
        show("Intervals take every clip for a video of its own: --tested is not given.")
    if out is not None:
        show(f"Wrote the score table to {unbroken(out)}.")


@contextmanager
def _written(out: Path, form: Format) -> Iterator[Path]:
    """The file to write; what is written for standard output is printed behind it."""
    if str(out) != _STANDARD_OUTPUT:
        yield out
        return
    if form == "parquet":
        raise click.UsageError("a table as parquet is not printed; give a file as --out")
    from ssl_bench.files import temporary_folder

    with temporary_folder() as folder:
        path = folder / "table"
        yield path
        click.echo(path.read_text(encoding="utf-8"), nl=False)


@command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet", "latex", "markdown", "json"]),
    required=True,
    help="latex and markdown have a table for each protocol, in percent; the others have one of "
    "all figures.",
)
@click.option("--out", required=True, type=PATH, help="The file to write; - prints it.")
@click.option("--controls", is_flag=True, help="Add priors, trivial maps and the ceiling as rows.")
@table_choice_options
def export(
    files: tuple[Path, ...],
    form: Format,
    out: Path,
    controls: bool,
    measures: tuple[str, ...],
    columns: list[str],
    labels: tuple[str, ...],
    by: tuple[str, ...],
) -> None:
    """Write results (FILES: run folders or result.json) or one scores.npz as a table.

    Of results: a row for each measure of each, with what is reached without sound and what hearing
    adds. Results compare only under the same protocol, dialect and test set, told by their
    digests: each such group is a table of its own in latex and markdown, where the best is bold;
    every row carries the digests in csv, parquet and json.
    """
    from ssl_bench.analysis.paired_runs import read_scores_of
    from ssl_bench.interchange.export import write_results, write_table
    from ssl_bench.interchange.result_rows import Given, tables_of
    from ssl_bench.scoring.results import read_result
    from ssl_bench.scoring.score_file import SCORES, read_scores

    if any(path.suffix == ".npz" for path in files):
        if len(files) > 1 or controls or measures or columns or labels or by:
            raise click.UsageError("give one scores.npz alone, or results only")
        table = read_scores(files[0])
        with _written(out, form) as path:
            write_table(path, table, form)
        if str(out) != _STANDARD_OUTPUT:
            show(f"{len(table):,} trials written to {unbroken(out)}")
        return
    require_label_each(labels, len(files))
    given = []
    for place, path in enumerate(files):
        result = read_result(path)
        folder = path.parent if path.name == "result.json" else path
        scores = read_scores_of(result, folder) if (folder / SCORES).is_file() else None
        label = labels[place] if labels else None
        run = folder.absolute().name.removesuffix(".json")
        given.append(Given(result, run=run, label=label, scores=scores))
    tables = tables_of(given, measures=measures, references=controls)
    with _written(out, form) as path:
        write_results(path, tables, form, columns=columns, by=by)
    if str(out) == _STANDARD_OUTPUT:
        return
    counted = "1 result" if len(given) == 1 else f"{len(given)} results"
    show(f"{counted} written to {unbroken(out)}")
    if len(tables) > 1:
        show(f"they are of {len(tables)} groups that do not compare with each other:")
        show(*(f"  {len(each.given):>3}  {each.title}" for each in tables))
