"""Parts of the package that need an extra, and the sentence for those who lack it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ssl_bench.errors import SslBenchError

_EXTRA_OF = {
    "av": "media",
    "cv2": "models",
    "faiss": "search",
    "safetensors": "models",
    "scipy": "models",
    "torch": "models",
    "lightning_fabric": "train",
    "torchmetrics": "metrics",
    "mlflow": "tracking",
    "tensorboard": "tracking",
    "pyarrow": "parquet",
    "ray": "ray",
    "fsspec": "ray",
    "transformers": "transformers",
}


class MissingExtraError(SslBenchError):
    """A command or function needs a library that an extra of the package brings."""

    code = "E_EXTRA_MISSING"
    name: str | None = None
    extra: str | None = None
    final: bool = False  # Whether it says all, wherever what needs the library is called


def install_line(extra: str) -> str:
    """How to install an extra, as the page on installing has it.

    Examples
    --------
    >>> install_line("models")
    "in the checkout, run: pip install -c constraints.txt '.[models]'"
    """
    return f"in the checkout, run: pip install -c constraints.txt '.[{extra}]'"


@contextmanager
def extra_needed(
    what: str, extra: str | None = None, *, common: str | None = None
) -> Iterator[None]:
    """Turn the import error of a library that an extra brings into one sentence.

    Parameters
    ----------
    what
        The command or function that runs inside.
    extra
        The extra that brings all that it needs; None for the one that brings the missing library.
    common
        The extra that others of its kind need, too: of any other, the sentence is about `what`,
        wherever it is called. None where it is about the outermost of those that are called.

    Raises
    ------
    MissingExtraError
        If a library is missing that an extra brings.

    Examples
    --------
    >>> with extra_needed("ssl-bench evaluate"):
    ...     raise ModuleNotFoundError("No module named 'torch'", name="torch")
    Traceback (most recent call last):
    ssl_bench.extras.MissingExtraError: ssl-bench evaluate needs torch, which is not installed. ...
    """
    try:
        yield
    except (ModuleNotFoundError, MissingExtraError) as error:
        if isinstance(error, MissingExtraError) and error.final:
            raise
        # The outermost one says what the user asked for.
        library = (error.name or "").partition(".")[0]
        if library not in _EXTRA_OF:
            raise
        brings = extra or getattr(error, "extra", None) or _EXTRA_OF[library]
        missing = MissingExtraError(
            f"{what} needs {library}, which is not installed",
            remedy=install_line(brings),
        )
        missing.name, missing.extra = library, brings
        missing.final = common is not None and _EXTRA_OF[library] != common
        raise missing from error
