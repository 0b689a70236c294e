"""Where files lie, writing them whole or not at all, and digests of content."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

CACHE_VARIABLE = "SSL_BENCH_CACHE"
"""Environment variable that names another cache folder."""

_PACKAGE = Path(__file__).resolve().parent


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it to `target` on success.

    On any error the temporary file is removed and `target` is left as it was. The folder is
    created. Safe when several threads or processes write the same target: the last one wins whole.

    Raises
    ------
    OSError
        If it cannot be written, with `target` as the file's name. A folder, a pipe or a device is
        never replaced.

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
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}{target.suffix}")
    try:
        # Created here, so that the user's umask decides the permissions. Some libraries put a file
        # of their own with narrower ones in its place.
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        temporary.replace(target)
    except OSError as error:
        # A temporary name tells the user nothing, and a full disk comes without any name.
        if error.filename in (None, str(temporary)) and error.errno is not None:
            error.filename, error.filename2 = str(target), None
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 to `target`, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_json(content: Any) -> str:
    """SHA-256 of a JSON-able value in one canonical spelling (sorted keys, no blanks)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


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
    """Path below ``$SSL_BENCH_CACHE``, or below ``ssl-bench`` in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).joinpath(*parts)
    import platformdirs

    return platformdirs.user_cache_path("ssl-bench").joinpath(*parts)


@cache
def digest_of_code(
    parts: Sequence[str] = ("",),
    *,
    suffixes: Sequence[str] = (".py",),
    content: Sequence[str] = (),
    libraries: Sequence[str] = (),
) -> str:
    """SHA-256 over what decides the outcome of some code.

    That is `parts` (files and folders of this package, in which files with these `suffixes`
    count), the TOML files of `content` folders, and the versions of `libraries`.
    """
    files: list[Path] = []
    for part in parts:
        path = _PACKAGE / part
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        files += [file for file in inside if file.suffix in suffixes and file.is_file()]
    for name in content:
        files += sorted(content_folder(name).rglob("*.toml"))
    digests = [[file.name, sha256_of_file(file)] for file in files]
    return sha256_of_json([*digests, *([name, version(name)] for name in libraries)])
