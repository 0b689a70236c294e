"""Compiling a function, kept on disk for the next process where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    InTreeCacheLocator,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
)

from ssl_bench.files import cache_folder


class _OwnFolder(UserWideCacheLocator):
    """Below this project's cache folder: numba's own writes into ``~`` where there is no HOME."""

    def __init__(self, function: Any, file: str) -> None:
        super().__init__(function, file)
        self._cache_path = str(cache_folder("numba", self.get_suitable_cache_subpath(file)))


class _Places(CompileResultCacheImpl):
    def __init__(self, function: Any) -> None:
        self._locator_classes = [UserProvidedCacheLocator, InTreeCacheLocator, _OwnFolder]
        super().__init__(function)


class _Cache(FunctionCache):
    """One that costs time alone where it cannot be read or written, or is damaged."""

    _impl_class = _Places

    def load_overload(self, *signature: Any) -> Any:
        # What a damaged file makes of the unpickler is no fixed set of errors.
        with suppress(Exception):
            return super().load_overload(*signature)
        return None

    def save_overload(self, *compiled: Any) -> None:
        with suppress(Exception):
            super().save_overload(*compiled)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function, free of the interpreter's lock; `options` are those of ``numba.njit``.

    Without a folder that can be written, every process compiles again.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        made = njit(nogil=True, **options)(function)
        # numba knows no folder for a file that lies in an archive.
        with suppress(RuntimeError):
            made._cache = _Cache(function)
        return made

    return decorate
