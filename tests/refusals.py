"""What an error must say: its code and its place, not its sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ssl_bench.errors import SslBenchError


@contextmanager
def refused(
    *codes: str, where: str | Path | None = None, kind: type[SslBenchError] = SslBenchError
) -> Iterator[pytest.ExceptionInfo[SslBenchError]]:
    """The block must raise an error with all these codes, whose text names `where`."""
    with pytest.raises(kind) as caught:
        yield caught
    assert set(codes) <= set(caught.value.codes), f"{caught.value.codes}: {caught.value}"
    assert where is None or str(where) in str(caught.value), str(caught.value)
