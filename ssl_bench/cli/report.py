"""``ssl-bench report``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    help="The page to write.",
)
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the tables as Markdown.",
)
@click.option(
    "--latex",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the tables as LaTeX.",
)
def report(runs: tuple[Path, ...], out: Path, markdown: Path | None, latex: Path | None) -> None:
    """Write the results of run folders as one page, for a paper's appendix.

    The page holds everything, pictures of trials included, and neither runs nor fetches anything.
    Results under different conventions or on different trials get tables of their own.
    """
    from ssl_bench.interchange.export import Format, write_results
    from ssl_bench.site.appendix import read_runs, write_report

    given = [path.resolve() for path in (out, markdown, latex) if path is not None]
    if len(set(given)) < len(given):
        raise click.UsageError("--out, --markdown and --latex are files of their own")
    read = read_runs(runs)
    results = [run.result for run in read]
    write_report(out, read)
    written = [out]
    tables: tuple[tuple[Path | None, Format], ...] = ((markdown, "markdown"), (latex, "latex"))
    for path, form in tables:
        if path is not None:
            write_results(path, results, form, controls=True)
            written.append(path)
    click.echo(f"Wrote {', '.join(map(str, written))}: {len(read)} runs.")
