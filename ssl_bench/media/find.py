"""Finding media files by the names of clips."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from ssl_bench.errors import DataError
from ssl_bench.media.names import ClipNames, in_order, video_of

_SHOWN = 3


class MediaFiles:
    """The media files of some folders, by clip.

    Hidden files are passed over, and endings may be in capitals. A file of exactly the clip's name
    comes first (of several endings the first of `suffixes`), then a folder of that name, then
    other spellings.

    Parameters
    ----------
    folders
        Where to look; a folder that does not exist holds nothing.
    suffixes
        Endings of the files, in small letters.
    key
        The clip that a file name without its ending stands for; None for none.
    frames
        Whether a folder may stand for a file: its middle one in the order of their numbers.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "YzYf0pcZ5q3M_30.JPG").touch()
    >>> known = ClipNames({"zYf0pcZ5q3M_000030": "zYf0pcZ5q3M"})
    >>> MediaFiles([folder], [".jpg"], key_of(known)).find("zYf0pcZ5q3M_000030").name
    'YzYf0pcZ5q3M_30.JPG'
    """

    def __init__(
        self,
        folders: Iterable[Path],
        suffixes: Sequence[str],
        key: Callable[[str], str | None],
        *,
        frames: bool = False,
    ) -> None:
        self._folders = list(folders)
        self._suffixes = {suffix: place for place, suffix in enumerate(suffixes)}
        self._files: dict[str, list[tuple[int, Path]]] = {}
        self._others: dict[str, list[str]] = {}
        for folder in self._folders:
            for entry in _entries(folder):
                stem, _, ending = entry.name.rpartition(".")
                is_folder = entry.is_dir()
                path: Path | None = None
                if not is_folder and f".{ending.lower()}" in self._suffixes:
                    path = Path(entry.path)
                elif is_folder and frames:
                    path = self._middle(Path(entry.path))
                name = entry.name if is_folder else stem
                clip = None if path is None else key(name)
                if clip is None or path is None:
                    self._others.setdefault(video_of(entry.name), []).append(entry.name)
                else:
                    rank = (0 if name == clip else 2) + is_folder
                    self._files.setdefault(clip, []).append((rank, path))

    @property
    def clips(self) -> Collection[str]:
        """Clips that something here is named after."""
        return self._files.keys()

    def find(self, clip: str) -> Path | None:
        """The file of a clip; None where there is none.

        Raises DataError where several could be meant.
        """
        found = self._files.get(clip, [])
        for rank in range(4):
            paths = [path for each, path in found if each == rank]
            if rank == 0 and len(paths) > 1:
                first = min(map(self._place, paths))
                paths = [path for path in paths if self._place(path) == first]
            if len(paths) > 1:
                names = sorted(str(path.relative_to(self._folders[0].parent)) for path in paths)
                raise DataError(
                    f"several files could be of {clip!r}: {', '.join(map(repr, names[:_SHOWN]))}",
                    code="E_FILE_AMBIGUOUS",
                    where=self._folders[0],
                    remedy=f"keep one of them, or name it {clip}{paths[0].suffix}",
                )
            if paths:
                return paths[0]
        return None

    def require(self, clip: str) -> Path:
        """As :meth:`find`; raises DataError where there is no file."""
        path = self.find(clip)
        if path is None:
            raise DataError(
                f"there is no file for {clip!r} here{self.lies_there(clip)}",
                code="E_FILE_MISSING",
                where=self._folders[0],
                remedy=f"add {clip} with one of the endings {', '.join(self._suffixes)}",
            )
        return path

    def lies_there(self, clip: str) -> str:
        """What else is in the folders, those of the same video first, as the end of a sentence."""
        count = sum(map(len, self._others.values()))
        if not count:
            return (
                ""
                if any(folder.is_dir() for folder in self._folders)
                else "; this folder does not exist"
            )
        of_video = self._others.get(video_of(clip))
        example = min(of_video or next(iter(self._others.values())))
        files = "1 other file," if count == 1 else f"{count:,} other files, such as"
        return f"; {self._folders[0].name}/ holds {files} {example!r}"

    def _place(self, path: Path) -> int:
        return self._suffixes[path.suffix.lower()]

    def _middle(self, folder: Path) -> Path | None:
        """The middle one of a folder of frames; of one name the first ending counts."""
        frames: dict[str, Path] = {}
        for entry in _entries(folder):
            path = Path(entry.path)
            if path.suffix.lower() in self._suffixes and not entry.is_dir():
                known = frames.setdefault(path.stem, path)
                frames[path.stem] = min(known, path, key=self._place)
        ordered = sorted(frames, key=in_order)
        return frames[ordered[len(ordered) // 2]] if ordered else None


def key_of(known: ClipNames) -> Callable[[str], str | None]:
    """The known clip that a file name without ending stands for; None for no known one."""

    def key(stem: str) -> str | None:
        clip = known.read(stem)
        return clip.id if clip is not None and clip.id in known else None

    return key


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []


def require_content(path: Path) -> None:
    """Raise DataError where a file is missing or empty."""
    if not path.is_file():
        raise DataError("this file does not exist", code="E_FILE_MISSING", where=path)
    if path.stat().st_size == 0:
        remedy = "extract or download it again"
        raise DataError("this file is empty", code="E_FILE_EMPTY", where=path, remedy=remedy)
