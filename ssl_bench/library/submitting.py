"""Predictions entered into the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ssl_bench.arguments import AnyPath, ArgumentError, checked_arguments
from ssl_bench.leaderboard.assess import open_bench
from ssl_bench.leaderboard.compact import SIDE
from ssl_bench.leaderboard.submissions import default_board
from ssl_bench.leaderboard.submit import (
    Prepared,
    SubmissionOptions,
    prepare,
    write_submission,
)
from ssl_bench.library.given import path_of, paths_of
from ssl_bench.progress import progress_bars


@checked_arguments
def submit(
    predictions: AnyPath,
    protocol: str,
    card: AnyPath,
    *,
    board: AnyPath | None = None,
    dry_run: bool = False,
    vision_only: AnyPath | None = None,
    without: Mapping[str, AnyPath] | None = None,
    side: int = SIDE,
    url: str | None = None,
    replace: bool = False,
    reason: str = "",
    new_board: bool = False,
    data: AnyPath | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> Prepared:
    """Check, score and enter predictions into a leaderboard.

    Parameters
    ----------
    predictions, protocol
        A predictions file, and the protocol that it answers, which must ship.
    card
        Who made the maps, and how: a file as ``ssl-bench submit --template`` prints it.
    board
        Folder of the leaderboard; None for that of the checkout.
    dry_run
        Whether to say what would be entered, and to write nothing.
    vision_only
        The model's own audio-blind predictions.
    without
        Further predictions made without the sound, by name, that do not enter the board.
    side
        Largest height and width of a stored map.
    url
        Where the file is kept (https) instead of on the board; its digest is stored.
    replace, reason
        Whether an entry of the same name and authors is replaced, and why.
    new_board
        Whether the board is begun where there is none.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    jobs
        Threads that score.
    progress
        Whether to draw bars on standard error.

    Returns
    -------
    Prepared
        The entry, its files, and how it stands among the others.

    Raises
    ------
    SslBenchError
        If predictions or card have a fault, or the board cannot take them.

    Examples
    --------
    >>> import tempfile, ssl_bench
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> made = ssl_bench.predict("center", "synth", folder=folder / "maps")
    >>> (folder / "card.toml").write_text("name = 'mine'")
    13
    >>> submit(
    ...     made.predictions, "synth", folder / "card.toml", board=folder / "board", new_board=True
    ... )
    Traceback (most recent call last):
    ssl_bench.errors.SubmissionError: ...slug is missing...
    """
    if replace != bool(reason):
        raise ArgumentError(
            "submit: replace and reason go together, for the entry's history keeps the reason",
            remedy="give both, or neither",
        )
    root = default_board() if board is None else Path(board)
    options = SubmissionOptions(
        side=side,
        url=url,
        vision_only=path_of(vision_only),
        without=paths_of(without),
        replace=replace,
        reason=reason,
        new_board=new_board,
    )
    with progress_bars(quiet=not progress) as (_, notify):
        bench = open_bench(protocol, path_of(data), root, jobs=jobs, notify=notify)
        prepared = prepare(root, bench, Path(predictions), Path(card), options, data=path_of(data))
    if not dry_run:
        write_submission(root, prepared)
    return prepared
