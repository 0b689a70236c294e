"""Predictions made by hand, with numpy and zipfile alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench.predictions import PredictionsMeta

Members = dict[str, Any]
PROTOCOL_DIGEST, TEST_SET_DIGEST = "a" * 64, "b" * 64


@pytest.fixture
def meta() -> PredictionsMeta:
    return PredictionsMeta(
        protocol="concat",
        protocol_digest=PROTOCOL_DIGEST,
        test_set="synth",
        test_set_digest=TEST_SET_DIGEST,
        model="handmade",
        complete=False,
    )


@pytest.fixture
def members() -> Callable[..., Members]:
    """Arrays of a faultless file with trials t0, t1, ...; keywords replace or (None) remove one."""

    def make(count: int = 4, **changes: Any) -> Members:
        about = {
            "format": "ssl-bench-predictions/1",
            "protocol": "concat",
            "protocol_digest": PROTOCOL_DIGEST,
            "test_set": "synth",
            "test_set_digest": TEST_SET_DIGEST,
            "model": "handmade",
            "weights_digest": None,
            "complete": False,
        } | changes.pop("about", {})
        arrays: Members = {
            "trial_id": np.array([f"t{i}" for i in range(count)]),
            "map": np.random.default_rng(0).random((count, 3, 5), dtype=np.float32),
            "meta": np.frombuffer(json.dumps(about).encode(), np.uint8),
        }
        arrays |= changes
        return {name: array for name, array in arrays.items() if array is not None}

    return make


def npy_bytes(array: Any, *, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=allow_pickle)
    return stream.getvalue()


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[..., Path]:
    """Write a zip of arrays or of raw bytes; `also` adds further members by full name."""

    def write(
        arrays: Members,
        name: str = "made.npz",
        also: tuple[tuple[str, bytes], ...] = (),
        method: int = zipfile.ZIP_DEFLATED,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", method) as archive:
            for member, content in arrays.items():
                data = content if isinstance(content, bytes) else npy_bytes(content)
                archive.writestr(f"{member}.npy", data)
            for member, data in also:
                archive.writestr(member, data)
        return path

    return write
