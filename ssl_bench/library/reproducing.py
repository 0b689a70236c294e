"""Tables of papers, run again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import InstanceOf

from ssl_bench.arguments import AnyPath, ArgumentError, checked_arguments
from ssl_bench.engine.encode import Progress
from ssl_bench.engine.store import is_address
from ssl_bench.executors import HERE, Executor
from ssl_bench.library.given import path_of
from ssl_bench.models.devices import Precision
from ssl_bench.progress import progress_bars
from ssl_bench.reproduction.document import Reproduction
from ssl_bench.reproduction.reproduce import reproduce as run
from ssl_bench.reproduction.runs import Runs, Settings
from ssl_bench.reproduction.table import Scale, tables_named


@checked_arguments
def reproduce(
    table: str,
    *,
    scale: Scale = "synth",
    seeds: int = 1,
    data: AnyPath | None = None,
    test_set: str | None = None,
    weights_dir: AnyPath = "trained",
    may_train: bool = False,
    out: AnyPath = "runs/reproduce",
    limit: int | None = None,
    jobs: int = 2,
    device: str | None = None,
    precision: Precision = "32",
    executor: InstanceOf[Executor] = HERE,
    parts: AnyPath | None = None,
    tell: tuple[Progress, Callable[[str], None]] | None = None,
    progress: bool = False,
) -> list[Reproduction]:
    """Run tables of papers again, beside their printed figures.

    Parameters
    ----------
    table
        ``PAPER:TABLE`` such as ``mo2022:5``, a paper such as ``mo2022``, or ``all``.
    scale
        ``synth`` or ``collage`` for the small models, ``full`` for the published networks on the
        paper's own test sets.
    seeds
        How many trainings of each model, with seeds 0, 1, ...
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    test_set
        Name of a test set of your own in `data`, which stands for the paper's; with ``full`` alone.
        Rows are then not judged by the printed figures, which are of other pictures.
    weights_dir
        Where weights are looked for that do not ship.
    may_train
        Whether missing weights are trained into that folder, except at scale ``full``.
    out
        Folder that keeps the maps.
    limit
        Answer the trials of the first images only; the result is partial.
    jobs
        Threads that read and score.
    device, precision, executor, parts
        Where, how and by whom models are run, as :func:`ssl_bench.evaluate` has it; the result says
        so. Weights are trained on the processor.
    tell
        Called with the progress and with each stage; None for bars where `progress` is true.
    progress
        Whether to draw bars on standard error.

    Returns
    -------
    list of Reproduction
        One for each table, in the order of their names.

    Raises
    ------
    SslBenchError
        If there is no such table, `test_set` cannot stand for its test sets, the device is not
        there, or a worker dies. A row that cannot be run is no error: it says why.

    Examples
    --------
    >>> import tempfile
    >>> [done] = reproduce("oya2020:3", limit=4, out=tempfile.mkdtemp())
    >>> done
    <Reproduction oya2020:3 at scale synth: 2 of 2 rows run; ...>
    """
    tables = tables_named(table)
    if test_set is not None:
        if scale != "full":
            raise ArgumentError(
                "a test set of your own stands for the paper's, which scale full alone takes",
                remedy="give the scale full, or leave the test set out",
            )
        tables = [each.on(test_set) for each in tables]
    with progress_bars(quiet=not progress) as bars:
        show, notify = bars if tell is None else tell
        settings = Settings(
            scale=scale,
            seeds=seeds,
            data=path_of(data),
            weights=Path(weights_dir),
            may_train=may_train,
            out=Path(out),
            limit=limit,
            test_set=test_set,
            jobs=jobs,
            device=device,
            precision=precision,
            executor=executor,
            parts=parts if isinstance(parts, str) and is_address(parts) else path_of(parts),
            progress=show,
            notify=notify,
        )
        with executor.held():
            runs = Runs(settings)
            return [run(each, runs) for each in tables]
