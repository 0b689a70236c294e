"""Making an entry again from its predictions, where test set and predictions are at hand."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ssl_bench.engine.predict import predict
from ssl_bench.errors import DataError, LeaderboardError
from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard.assess import Bench, Named, open_bench
from ssl_bench.leaderboard.compact import STORED_LIMITS
from ssl_bench.leaderboard.entry import (
    AddressedPredictions,
    Entry,
    PredictionsReference,
    RemadePredictions,
)
from ssl_bench.models.registry import load_localizer
from ssl_bench.predictions import Question, check


class NotAtHandError(LeaderboardError):
    """What an entry was scored from, or on, is not at hand; nothing is said of its numbers."""


def make_again(root: Path, entry: Entry, data: Path | None, copies: Path | None) -> Entry:
    """Score what an entry was scored from once more.

    Parameters
    ----------
    root
        The board.
    entry
        An entry of the protocol that ships, whose stored files are those that it names.
    data
        Folder with one sub-folder per test set; None for ``SSL_BENCH_DATA``.
    copies
        Folder with copies of predictions that are kept at addresses; None for none.

    Raises
    ------
    NotAtHandError
        If the test set or a copy is missing, or the annotation is of another revision.
    SslBenchError
        If the predictions cannot be scored.
    """
    try:
        bench = _bench(entry.protocol, data)
    except DataError as error:
        raise NotAtHandError(f"test set not at hand ({error.problem})") from error
    known = entry.result.test_set.digest
    if not bench.embedded and bench.trials.test_set.digest != known:
        raise NotAtHandError(
            f"the test set at hand has the digest {bench.trials.test_set.digest[:12]}, and the "
            f"entry is of {known[:12]}"
        )
    with TemporaryDirectory(prefix="ssl-bench-") as scratch:
        place = Path(scratch)
        maps = _at_hand(root, entry.predictions, bench, copies, place)
        blind = (
            None
            if entry.vision_only is None
            else _at_hand(root, entry.vision_only, bench, copies, place)
        )
        return bench.entry(entry.card, maps, blind)


def _at_hand(
    root: Path, reference: PredictionsReference, bench: Bench, copies: Path | None, scratch: Path
) -> Named:
    """A predictions file that is what an entry says."""
    if isinstance(reference, RemadePredictions):
        localizer = load_localizer(reference.model, seed=reference.seed)
        made = predict(localizer, [(bench.trials, scratch)])[0].predictions
        # Another compressor makes another file of the same maps; the entry's says nothing here.
        facts = {"sha256": sha256_of_file(made), "bytes": made.stat().st_size}
        return Named(made, reference.model_copy(update=facts))
    if isinstance(reference, AddressedPredictions):
        copy = _copy_of(reference, copies)
        if copy is None:
            lacking = "no copy was given" if copies is None else "no copy has its digest"
            raise NotAtHandError(f"it is kept elsewhere, and {lacking}")
        return Named(copy, reference)
    path = root / reference.path
    check(path, Question(bench.trials.ids), limits=STORED_LIMITS)
    return Named(path, reference)


def _copy_of(reference: AddressedPredictions, folder: Path | None) -> Path | None:
    for path in sorted(folder.glob("*.npz")) if folder is not None else ():
        if path.stat().st_size == reference.bytes and sha256_of_file(path) == reference.sha256:
            return path
    return None


@lru_cache(maxsize=4)
def _bench(protocol: str, data: Path | None) -> Bench:
    """The trials of a protocol, kept for its next entry."""
    return open_bench(protocol, data)
