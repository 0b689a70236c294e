"""Cards of the project's own entries, taken anew: a sentence changes, and nothing is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssl_bench.errors import LeaderboardError, ModelError
from ssl_bench.leaderboard.claims import baseline_card
from ssl_bench.leaderboard.documents import entry_bytes, read_entry
from ssl_bench.leaderboard.files import find_files
from ssl_bench.leaderboard.places import board_lock, replace_together


def renew_cards(root: Path) -> Sequence[str]:
    """Put the baselines' cards as they are now into the entries that this project measured.

    Maps, numbers and how they came about stay as they are, and so do entries of other people.

    Parameters
    ----------
    root
        The board.

    Returns
    -------
    sequence of str
        Entries whose card was another, as paths within the board. They are written together.

    Raises
    ------
    LeaderboardError
        If there is no such board, an entry cannot be read, or names a baseline that there is not.
    """
    if not root.is_dir():
        raise LeaderboardError("there is no such board", where=root, remedy="check the name")
    renewed: dict[Path, bytes | None] = {}
    with board_lock(root):
        for name in find_files(root).entries:
            entry = read_entry(root / name)
            if entry.card.baseline is None:
                continue
            result = entry.result
            try:
                card = baseline_card(
                    entry.card.baseline, entry.slug, result.test_set.name, result.model
                )
            except ModelError as error:
                raise LeaderboardError(
                    f"this entry names a baseline that has no card ({error.problem})",
                    where=root / name,
                    remedy="remove the entry, or add the baseline's folder",
                ) from error
            if card != entry.card:
                renewed[root / name] = entry_bytes(entry.model_copy(update={"card": card}))
        replace_together(renewed)
    return [path.relative_to(root).as_posix() for path in renewed]
