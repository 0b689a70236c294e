"""What an error must say: its code and its place, not its sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ssl_bench.errors import SslBenchError
from ssl_bench.models.contract import Localizer, OptionalMethod


@contextmanager
def refused(
    *codes: str, where: str | Path | None = None, kind: type[SslBenchError] = SslBenchError
) -> Iterator[pytest.ExceptionInfo[SslBenchError]]:
    """The block must raise an error with all these codes, whose text names `where`."""
    with pytest.raises(kind) as caught:
        yield caught
    assert set(codes) <= set(caught.value.codes), f"{caught.value.codes}: {caught.value}"
    assert where is None or str(where) in str(caught.value), str(caught.value)


@contextmanager
def unsupported(localizer: Localizer, method: OptionalMethod, *, naming: str) -> Iterator[None]:
    """The block must fail for the reason that the localizer gives for lacking an optional method.

    The reason names `naming`.
    """
    assert not localizer.supports(method)
    assert naming in localizer.missing_reason(method)
    with pytest.raises(NotImplementedError) as caught:
        yield
    assert str(caught.value) == localizer.missing_reason(method)
