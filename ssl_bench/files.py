"""Where files lie, writing them whole or not at all, and digests of content."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from ssl_bench.environment import version_of
from ssl_bench.errors import SslBenchError

CACHE_VARIABLE = "SSL_BENCH_CACHE"
"""Environment variable that names another cache folder."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the system's errors where a disk, or a user's share of it, is full."""

_PACKAGE = Path(__file__).resolve().parent
_LEFT_OVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}")
# A folder that is whole and only has to be moved, and in it what is to be removed.
_READY, _GONE = ".ready", ".gone"
_PROBE_BYTES = 2**20
_TEMPORARY = "ssl-bench"


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it to `target` on success.

    On any error the temporary file is removed and `target` is left as it was. The folder is
    created. Safe when several threads or processes write the same target: the last one wins whole.
    What a killed process left of this target is removed.

    Raises
    ------
    OSError
        If it cannot be written, with `target` as the file's name; of a full disk too where the
        library that writes has another error for it. A folder, a pipe or a device is never
        replaced.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "a" / "b.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> (folder / "a" / "b.txt").read_text()
    'whole'
    """
    # /dev/stdout may lead to a regular file; as root, a rename would replace the link for everyone.
    in_dev = target.absolute().parent == Path("/dev")
    if in_dev or (target.exists() and not target.is_file()):
        number = errno.EISDIR if target.is_dir() else errno.EEXIST
        raise OSError(number, "Not a regular file", str(target))
    with _scratch(target.parent, target) as scratch:
        temporary = scratch / target.name
        # Created here, so that the user's umask decides the permissions. Some libraries put a file
        # of their own with narrower ones in its place.
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        try:
            yield temporary
        except Exception as error:
            if not isinstance(error, OSError | SslBenchError):
                _blame_full_disk(scratch, error)
            raise
        temporary.chmod(mode)
        temporary.replace(target)


@contextmanager
def replaced_folder(
    target: Path, patterns: Sequence[str], *, overwrite: bool = True, keep: bool = False
) -> Iterator[Path]:
    """Give an empty folder; on success its files become those of `target`, all at once.

    The files of `target` that the glob `patterns` name (see :func:`files_of`) go; whatever else
    lies there stays. On any error `target` is left as it was. A process that is killed leaves the
    old files or the new ones, and the next one that writes `target` removes what is left over.
    Such a folder may be the `target` of another one, and is then given itself.
    Where folders cannot be swapped (a mount point, the working directory, some file systems), files
    are moved one by one, and the next process moves the rest.

    Raises
    ------
    OSError
        If it cannot be written, with the name of a file of `target`; FileExistsError if there are
        such files and they must not be overwritten. With `keep`, the new ones then go into a
        folder beside `target`, which the error names.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> for number in "12":
    ...     with replaced_folder(folder, ["*.txt"]) as fresh:
    ...         _ = (fresh / f"{number}.txt").write_text("whole")
    >>> [path.name for path in files_of(folder, ["*"])]
    ['2.txt']
    """
    if is_left_over(target.name):
        # It takes its place with all that it is a part of.
        yield target
        return
    place = Path(os.path.realpath(target))
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target))
    _finish(place)
    with _scratch(place.parent if _can_be_swapped(place) else place, target) as scratch:
        yield scratch
        try:
            if place.is_dir():
                shutil.copystat(place, scratch)
            scratch.rename(place)
        except OSError:
            # It is not empty, or cannot be moved.
            if not place.is_dir():
                raise
            if not overwrite and files_of(place, patterns):
                reason = "written meanwhile"
                if keep:
                    kept = scratch.with_name(f"{place.name}-{secrets.token_hex(4)}")
                    scratch.rename(kept)
                    reason += f"; what was to go there is kept in {kept}"
                raise FileExistsError(errno.EEXIST, reason, str(place)) from None
            _put_in_place(scratch, place, patterns)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder among the system's temporary files; those of killed processes are removed."""
    with _scratch(Path(tempfile.gettempdir()), Path(_TEMPORARY), mode=0o700) as scratch:
        yield scratch


def remove_temporary_left_overs() -> None:
    """Remove what killed processes left of their :func:`temporary_folder`."""
    remove_left_overs(Path(tempfile.gettempdir()), _TEMPORARY)


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside `target`, for files that are moved to their places when they are whole.

    It is removed at the end; what a killed process left of this target, too.
    """
    with _scratch(target.parent, target) as scratch:
        yield scratch


@contextmanager
def blamed_on(target: Path) -> Iterator[None]:
    """Give the name of `target` to a system's error without one, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(target)
        raise


def files_of(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Plain files of a folder that glob patterns name, in order; hidden ones are never among them.

    Neither are pipes, devices, or what lies in a hidden folder. Nothing is opened.
    """
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(
        path for path in found if not any(p.startswith(".") for p in path.relative_to(folder).parts)
    )


def is_left_over(name: str) -> bool:
    """Whether a file system entry has the name of something that is, or was, being written."""
    return _LEFT_OVER.fullmatch(name) is not None


def remove_left_overs(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left in a folder, of the target `name` or of any.

    What they had finished is put into place. What a living process writes stays, as does what
    cannot be removed.
    """
    with suppress(OSError, ValueError):
        _finish(folder.resolve())
    try:
        entries = [entry for entry in os.scandir(folder) if entry.name.startswith(".")]
    except OSError:
        return
    for entry in entries:
        found = _LEFT_OVER.fullmatch(entry.name)
        if found is None or name not in (None, found["name"]):
            continue
        # Another process may have it, or be faster.
        with suppress(OSError):
            if entry.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            lock = _locked(Path(entry.path))
            if lock is not None:
                shutil.rmtree(entry.path, ignore_errors=True)
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives; None where its file system has no locks.

    Raises BlockingIOError where another process has it, and OSError where it no longer exists.
    """
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return lock


@contextmanager
def _scratch(parent: Path, target: Path, *, mode: int = 0o777) -> Iterator[Path]:
    """A hidden folder for `target`, locked, so that others can tell it from a left-over.

    Errors of files in it are reported with the name that they have in `target`.
    """
    parent.mkdir(parents=True, exist_ok=True)
    remove_left_overs(parent, target.name)
    lock = None
    try:
        while True:
            scratch = parent / f".{target.name}.{secrets.token_hex(8)}"
            scratch.mkdir(mode)
            # Another process may take it for a left-over before it is locked.
            with suppress(BlockingIOError, FileNotFoundError):
                lock = _locked(scratch)
                if scratch.is_dir():
                    break
        yield scratch
    except OSError as error:
        # A temporary name tells the user nothing, and a full disk comes without any name.
        if error.errno is not None:
            inside = Path(str(error.filename or scratch))
            if inside.is_relative_to(scratch):
                rest = inside.relative_to(scratch)
                error.filename = str(target if str(rest) in (".", target.name) else target / rest)
                error.filename2 = None
        raise
    except SslBenchError as error:
        error.args = tuple(str(text).replace(str(scratch), str(target)) for text in error.args)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _can_be_swapped(folder: Path) -> bool:
    """Whether a folder may get another of its name in its place."""
    if not folder.exists():
        return True
    if not os.access(folder.parent, os.W_OK) or os.path.ismount(folder):
        return False
    with suppress(OSError):
        return not Path.cwd().is_relative_to(folder)
    return True


def _put_in_place(scratch: Path, target: Path, patterns: Sequence[str]) -> None:
    """Make the files of `scratch` those of `target`."""
    old = files_of(target, patterns)
    going = {str(path) for path in old}
    if scratch.parent == target.parent:
        kept = [
            path
            for path in target.rglob("*")
            if str(path) not in going and not is_left_over(path.relative_to(target).parts[0])
        ]
        # Folders that only held what goes are not kept.
        for path in kept:
            copy = scratch / path.relative_to(target)
            # Another process may put its own in place meanwhile.
            with suppress(FileNotFoundError, FileExistsError):
                if path.is_symlink() or not path.is_dir():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    link(path, copy)
                elif not any(path.iterdir()):
                    copy.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            _exchange(scratch, target)
            return
    new = {path.relative_to(scratch) for path in scratch.rglob("*")}
    gone = [path.relative_to(target) for path in old if path.relative_to(target) not in new]
    (scratch / _GONE).write_text(json.dumps([str(path) for path in gone]))
    scratch.rename(target / _READY)
    _finish(target)


def link(path: Path, copy: Path) -> None:
    """Give a file a second name; a copy where the file system has no such thing."""
    try:
        os.link(path, copy, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        shutil.copy2(path, copy, follow_symlinks=False)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one step; OSError where the system cannot."""
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of the Linux kernel
    if swap is None or swap(here, os.fsencode(one), here, os.fsencode(other), exchange) != 0:
        raise OSError(ctypes.get_errno() or errno.ENOSYS, "cannot be swapped", str(other))


def _finish(target: Path) -> None:
    """Move the files of a folder that is ready, but not in place, into `target`."""
    ready = target / _READY
    if ready.is_symlink() or not (ready / _GONE).is_file():
        return
    gone = json.loads((ready / _GONE).read_text())
    # Who wrote it is not known: nothing but plain files of this very folder is touched.
    for path in files_of(target, ("**/*",)):
        if str(path.relative_to(target)) in gone:
            path.unlink()
    for path in files_of(ready, ("**/*",)):
        place = target / path.relative_to(ready)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.parent.resolve() == place.parent:
            path.replace(place)
    shutil.rmtree(ready)


def _blame_full_disk(folder: Path, error: Exception) -> None:
    """Raise the system's own error where a library failed because the disk is full."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE_BYTES))
    except OSError as full:
        if full.errno in NO_SPACE:
            raise OSError(full.errno, os.strerror(full.errno), str(folder)) from error


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 to `target`, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_kept(target: Path, text: str) -> None:
    """Write a text that :func:`read_kept` only takes back whole, and under this name.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_kept(folder / "one", "a result")
    >>> read_kept(folder / "one")
    'a result'
    >>> read_kept((folder / "one").rename(folder / "other")) is None
    True
    """
    write_text(target, f"{_seal(target, text)}\n{text}")


def read_kept(path: Path) -> str | None:
    """The text that :func:`write_kept` wrote; None if it is not there, damaged or another's."""
    with suppress(OSError, UnicodeDecodeError):
        seal, _, text = path.read_bytes().decode().partition("\n")
        if seal == _seal(path, text):
            return text
    return None


def _seal(path: Path, text: str) -> str:
    return sha256_of_json([path.name, text])


class CappedReader(io.BufferedReader):
    """A file of which no more is asked than it has: Python allocates what is asked for.

    Chunks of pictures and texts of pickles claim any length.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes."""
        return super().read(size if size is None else min(size, self._size))


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_json(content: Any) -> str:
    """SHA-256 of the :func:`json_text` of a value."""
    return hashlib.sha256(json_text(content).encode()).hexdigest()


def json_text(content: Any) -> str:
    """A JSON-able value in one canonical spelling (sorted keys, no blanks)."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_folder(name: str) -> Path:
    """Path of one content folder: beside the package in a checkout, inside it in a wheel.

    Examples
    --------
    >>> (content_folder("protocols") / "synth.toml").is_file()
    True
    """
    installed = _PACKAGE / "content" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def cache_folder(*parts: str) -> Path:
    """Path below ``$SSL_BENCH_CACHE``, or below ``ssl-bench`` in the user's cache folder.

    Where there is no such folder and none can be made, it is one of the user's in the folder for
    temporary files. A cache that cannot be written costs time alone.
    """
    named = os.environ.get(CACHE_VARIABLE)
    return (Path(named) if named else _users_cache()).joinpath(*parts)


def _users_cache() -> Path:
    import platformdirs

    own = platformdirs.user_cache_path("ssl-bench")
    # Without HOME, and without an entry in the list of users, the path starts with a literal "~".
    if own.is_absolute() and _made(own):
        return own
    user = os.getuid() if hasattr(os, "getuid") else None
    with suppress(OSError):
        spare = Path(tempfile.gettempdir()) / f"ssl-bench-{user}"
        # Anyone may have put something of this name there, and compiled code is read from it.
        if _made(spare) and spare.stat().st_uid == user and not spare.stat().st_mode & 0o022:
            return spare
    return own if own.is_absolute() else Path(os.devnull, own.name)


def _made(folder: Path) -> bool:
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.access(folder, os.R_OK | os.X_OK)
    return False


def is_writable(folder: Path) -> bool:
    """Whether files can be put into a folder, which is made where it is missing.

    Examples
    --------
    >>> is_writable(Path("/dev/null/cache"))
    False
    """
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK | os.X_OK)
    return False


@cache
def digest_of_code(
    parts: Sequence[str] = ("",),
    *,
    suffixes: Sequence[str] = (".py", ".toml"),
    content: Sequence[str] = (),
    libraries: Sequence[str] = (),
) -> str:
    """SHA-256 over what decides the outcome of some code.

    That is `parts` (files and folders of this package, in which files with these `suffixes`
    count), the TOML files of `content` folders, and the versions of `libraries`; a library may be
    missing.
    """
    files: list[Path] = []
    for part in parts:
        path = _PACKAGE / part
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        files += [file for file in inside if file.suffix in suffixes and file.is_file()]
    for name in content:
        files += sorted(content_folder(name).rglob("*.toml"))
    digests = [[file.name, sha256_of_file(file)] for file in files]
    return sha256_of_json([*digests, *([name, version_of(name)] for name in libraries)])
