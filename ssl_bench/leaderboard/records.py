"""Which entries were found right here before, so that a check can leave them out.

A record is a digest over everything that a check reads: the entry, its predictions, and the code
and content that score them. It is kept in the user's cache folder, never on the board.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from ssl_bench.errors import LeaderboardError
from ssl_bench.files import cache_folder, digest_of_code, sha256_of_file, write_text
from ssl_bench.leaderboard.documents import bounded_bytes, read_entry
from ssl_bench.leaderboard.entry import Entry, StoredPredictions

_MOST_BYTES = 2**24


class Records:
    """Digests of entries that were found right.

    Parameters
    ----------
    path
        The file that keeps them; it need not exist. One that cannot be read counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    @classmethod
    def of_user(cls) -> Records:
        """Those in the user's cache folder."""
        return cls(cache_folder("leaderboard", "found-right.json"))

    def holds(self, root: Path, path: Path, entry: Entry) -> bool:
        """Whether an entry was found right as it is, with its predictions as they are."""
        key = _digest(root, path, entry)
        return key is not None and key in self._known

    def note(self, root: Path, entries: Iterable[str]) -> None:
        """Remember entries, by path within a board."""
        fresh = set(self._known)
        for name in entries:
            key = _digest(root, root / name, read_entry(root / name))
            if key is not None:
                fresh.add(key)
        if fresh != self._known:
            write_text(self._path, json.dumps(sorted(fresh)))
            self._known = fresh


def _read(path: Path) -> set[str]:
    try:
        content = json.loads(bounded_bytes(path, _MOST_BYTES))
    except (LeaderboardError, ValueError):
        return set()
    return (
        {each for each in content if isinstance(each, str)} if isinstance(content, list) else set()
    )


def _digest(root: Path, path: Path, entry: Entry) -> str | None:
    """Digest over an entry and everything that decides whether it is right; None without a file."""
    parts = [
        digest_of_code(content=("protocols", "baselines")),
        str(path.relative_to(root)),
        sha256_of_file(path),
    ]
    for reference in (entry.predictions, entry.vision_only):
        if isinstance(reference, StoredPredictions):
            file = root / reference.path
            if not file.is_file() or file.is_symlink():
                return None
            parts.append(sha256_of_file(file))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
