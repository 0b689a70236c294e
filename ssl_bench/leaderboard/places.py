"""Where the files of a board lie, and writing several of them together or none."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from ssl_bench.errors import LeaderboardError
from ssl_bench.files import content_folder
from ssl_bench.protocols.protocol import Protocol, load_protocol, protocol_names
from ssl_bench.trials.compositions import with_split

ENTRIES = "entries"
PREDICTIONS = "predictions"
_BLIND = ".vision-only"


def default_board() -> Path:
    """The board of this project: the content folder ``leaderboard`` of a checkout.

    Raises
    ------
    LeaderboardError
        If this is an installed package, with which entries and predictions do not travel.
    """
    folder = content_folder("leaderboard")
    if not (folder / ENTRIES).is_dir():
        raise LeaderboardError(
            "an installed package has no leaderboard of its own",
            where=folder,
            remedy="give --board DIR, such as the folder 'leaderboard' of a checkout",
        )
    return folder


def protocol_folder(protocol: Protocol) -> str:
    """Name of a protocol's folders: its own where it stands on its default test set.

    Examples
    --------
    >>> protocol_folder(load_protocol("vggss")), protocol_folder(load_protocol("concat@vggss"))
    ('vggss', 'concat--vggss--all')
    """
    full = with_split(protocol)
    if full.name in protocol_names() and with_split(load_protocol(full.name)).label == full.label:
        return full.name
    return f"{full.name}--{full.test_set.name}--{full.test_set.split}"


def entry_path(folder: str, slug: str) -> str:
    """Path of an entry within a board.

    Examples
    --------
    >>> entry_path("synth", "center")
    'entries/synth/center.json'
    """
    return f"{ENTRIES}/{folder}/{slug}.json"


def predictions_path(folder: str, slug: str, *, blind: bool = False) -> str:
    """Path of an entry's predictions within a board; with `blind`, of its audio-blind maps."""
    return f"{PREDICTIONS}/{folder}/{slug}{_BLIND if blind else ''}.npz"


def links_among(root: Path, names: Iterable[str]) -> list[str]:
    """What is wrong with the places of some files: a link would lead out of the board.

    Parameters
    ----------
    root
        The board, which may itself be reached by a link.
    names
        Paths within it.
    """
    above = {str(each) for name in names for each in (name, *PurePosixPath(name).parents)}
    return [
        f"{name} is a link, and links are not allowed on a board. Remove it"
        for name in sorted(above - {"."})
        if (root / name).is_symlink()
    ]


@contextmanager
def board_lock(root: Path) -> Iterator[None]:
    """Keep other processes that ask for the same from writing to a board. Leaves no file."""
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def replace_together(files: Mapping[Path, bytes | None]) -> None:
    """Write several files, or remove them, so that all change or none.

    Parameters
    ----------
    files
        New content by path; None to remove a file, which may be absent.

    Raises
    ------
    OSError
        If one cannot be written; then each is as it was.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> replace_together({folder / "a" / "one": b"1", folder / "b" / "two": b"2"})
    >>> (folder / "b" / "two").read_bytes()
    b'2'
    """
    with ExitStack() as cleanup:
        staged: list[tuple[Path, Path | None]] = []
        for target, content in files.items():
            if content is None:
                staged.append((target, None))
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            new = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
            cleanup.callback(new.unlink, missing_ok=True)
            new.write_bytes(content)
            staged.append((target, new))
        # From here on names change only; what stood there is kept aside until all are done.
        with ExitStack() as undo:
            for target, beside in staged:
                kept = target.with_name(f".{target.name}.{secrets.token_hex(8)}.old")
                existed = target.is_file() or target.is_symlink()
                if existed:
                    target.replace(kept)
                    cleanup.callback(kept.unlink, missing_ok=True)
                    undo.callback(kept.replace, target)
                elif beside is not None:
                    undo.callback(target.unlink, missing_ok=True)
                if beside is not None:
                    beside.replace(target)
            undo.pop_all()
    for target, content in files.items():
        if content is None:
            with suppress(OSError):
                target.parent.rmdir()
