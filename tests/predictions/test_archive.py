"""Files that nobody should send: each is reported, and none costs memory or runs code."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from predicted import IDS, problems_of

from ssl_bench.predictions import FileProblem, open_predictions
from ssl_bench.predictions.archive import Archive

Make = Callable[..., dict[str, Any]]
Zip = Callable[..., Path]


def only_problem(path: Path) -> FileProblem:
    (problem,) = problems_of(path)
    return problem


def header(shape: str, descr: str = "<f4", *, version: int = 1, fortran: bool = False) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    size = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + b"\n"


def patched(path: Path, marker: bytes, offset: int, replacement: bytes) -> Path:
    """Overwrite bytes at `offset` after every `marker`."""
    data = bytearray(path.read_bytes())
    place = data.find(marker)
    while place >= 0:
        data[place + offset : place + offset + len(replacement)] = replacement
        place = data.find(marker, place + 1)
    path.write_bytes(bytes(data))
    return path


def test_a_faultless_file_has_no_problem(members: Make, zipped: Zip) -> None:
    assert problems_of(zipped(members())) == []


def test_members_that_are_not_compressed_are_fine(members: Make, zipped: Zip) -> None:
    assert problems_of(zipped(members(), method=zipfile.ZIP_STORED)) == []


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file at all" * 100, b"\x93NUMPY"])
def test_what_is_not_a_zip_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    problem = only_problem(path)
    assert problem.code == "E_FILE_UNREADABLE"
    assert problem.where == path


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert only_problem(tmp_path / "absent.npz").code == "E_FILE_UNREADABLE"


def test_a_device_is_not_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    assert only_problem(pipe).code == "E_FILE_UNREADABLE"


def test_a_name_longer_than_the_system_takes(tmp_path: Path) -> None:
    assert only_problem(tmp_path / ("x" * 5000)).code == "E_FILE_UNREADABLE"


def test_a_truncated_file(members: Make, zipped: Zip) -> None:
    whole = zipped(members(), "whole.npz").read_bytes()
    path = zipped(members(), "cut.npz")
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert only_problem(path).code == "E_FILE_UNREADABLE"


def test_a_bit_that_flipped_in_the_maps(members: Make, zipped: Zip) -> None:
    arrays = members()
    path = zipped(arrays, method=zipfile.ZIP_STORED)
    patched(path, arrays["map"].tobytes()[:16], 8, b"\x01\x02")
    problem = only_problem(path)
    assert problem.code == "E_FILE_DAMAGED"
    assert "'map.npy'" in problem.message
    assert "CRC" in problem.message


def test_a_member_with_a_broken_deflate_stream(members: Make, zipped: Zip) -> None:
    path = zipped(members(100))
    data = bytearray(path.read_bytes())
    place = data.find(b"map.npy") + 7
    data[place + 2000 : place + 2100] = b"\xff" * 100
    path.write_bytes(data)
    assert "E_FILE_DAMAGED" in {problem.code for problem in problems_of(path)}


class Explosive:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


def test_pickled_objects_are_never_loaded(
    members: Make, zipped: Zip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.array([Explosive()] * 4), allow_pickle=True)
    for name in ("map", "trial_id", "meta"):
        kinds = {p.code for p in problems_of(zipped(members(**{name: stream.getvalue()})))}
        assert "E_ARRAY_TYPE" in kinds
    bare = zipped(members(map=pickle.dumps(Explosive())))
    assert only_problem(bare).code == "E_ARRAY_TYPE"
    assert not (tmp_path / "exploded").exists()


def test_encrypted_members(members: Make, zipped: Zip) -> None:
    path = zipped(members())
    patched(path, b"PK\x01\x02", 8, b"\x01\x00")
    problems = problems_of(path)
    assert len(problems) == 3
    assert all("encrypted" in problem.message for problem in problems)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression(members: Make, zipped: Zip, method: int) -> None:
    problems = problems_of(zipped(members(), method=method))
    assert len(problems) == 3
    assert all("unusual" in problem.message for problem in problems)


def test_a_zip_file_within_the_zip_file(members: Make, zipped: Zip) -> None:
    inner = zipped(members(), "inner.npz").read_bytes()
    assert "a zip file" in only_problem(zipped(members(map=inner))).message
    also = only_problem(zipped(members(), also=(("inner.npz", inner),)))
    assert (also.code, "'inner.npz'" in also.message) == ("E_MEMBERS", True)


@pytest.mark.parametrize(
    "name", ["../../map.npy", "/etc/passwd", "C:\\map.npy", "map", "MAP.npy", "a\x1b[2J.npy"]
)
def test_members_that_the_format_does_not_have(members: Make, zipped: Zip, name: str) -> None:
    problem = only_problem(zipped(members(), also=((name, b"x"),)))
    assert problem.code == "E_MEMBERS"
    assert "\x1b" not in str(problem)


def test_a_thousand_unknown_members_make_one_short_problem(members: Make, zipped: Zip) -> None:
    problem = only_problem(zipped(members(), also=tuple((f"m{i}", b"") for i in range(1000))))
    assert "and 995 more" in problem.message
    assert len(str(problem)) < 500


def test_a_table_of_contents_too_long_to_read(members: Make, zipped: Zip) -> None:
    path = zipped(members(), also=tuple((f"{i:0200d}", b"") for i in range(2000)))
    assert "table of contents" in only_problem(path).message


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice(members: Make, zipped: Zip) -> None:
    path = zipped(members(), also=(("map.npy", b"other"),))
    assert "'map.npy' is there 2 times" in only_problem(path).message


@pytest.mark.parametrize("name", ["trial_id", "map", "meta"])
def test_a_member_that_is_missing(members: Make, zipped: Zip, name: str) -> None:
    problems = problems_of(zipped(members(**{name: None})))
    assert [problem.code for problem in problems] == ["E_MEMBERS"]
    assert f"{name!r} is missing" in problems[0].message


def test_members_that_overlap(members: Make, zipped: Zip) -> None:
    path = zipped(members(), also=(("score.npy", bytes(range(256)) * 40),))
    data = path.read_bytes()
    entry = data.rfind(b"PK\x01\x02")
    inflated = data[: entry + 20] + struct.pack("<I", len(data)) + data[entry + 24 :]
    path.write_bytes(inflated)
    assert "overlap" in " ".join(problem.message for problem in problems_of(path))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x09\x00" + bytes(100),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{" + bytes(5000),
        header("(4, 3, 5)", "zz"),
        header("(-4, 3, 5)"),
        header("(" * 900 + ")" * 900),
        header("[4, 3, 5]"),
        header("(4, 3, 5)", "<f4,<i4") + bytes(480),
        header("(4, 3, 5), 'more': 1"),
        header("__import__('os').abort()"),
        b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': [('a',".ljust(16) + bytes(240),
    ],
)
def test_malformed_array_headers(members: Make, zipped: Zip, content: bytes) -> None:
    assert only_problem(zipped(members(map=content))).code == "E_ARRAY_TYPE"


@pytest.mark.parametrize(
    "content",
    [
        header("(1000000000, 3, 5)") + bytes(240),
        header("(4, 3, 5)") + bytes(239),
        header("(4, 3, 5)") + bytes(241),
        header(f"({10**30}, {10**30}, 5)") + bytes(240),
        header("(1000000000,)", "<U200"),
    ],
)
def test_headers_that_claim_another_size_than_the_member_has(
    members: Make, zipped: Zip, content: bytes
) -> None:
    tracemalloc.start()
    problem = only_problem(zipped(members(map=content)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problem.code == "E_FILE_DAMAGED"
    assert "claims" in problem
    assert peak < 1e6


def test_a_thousand_million_rows_of_nothing(members: Make, zipped: Zip) -> None:
    empty = header("(1000000000,)", "<U0")
    assert "E_ARRAY_SHAPE" in {p.code for p in problems_of(zipped(members(trial_id=empty)))}
    flat = header("(1000000000, 0, 5)")
    assert only_problem(zipped(members(map=flat))).code == "E_ARRAY_SHAPE"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_headers_of_every_version_are_understood(members: Make, zipped: Zip, version: int) -> None:
    maps = np.arange(60, dtype=np.float32).tobytes()
    path = zipped(members(map=header("(4, 3, 5)", version=version) + maps))
    assert problems_of(path) == []
    assert open_predictions(path).maps_of(["t3"])["t3"][2, 4] == 59


def test_column_major_maps_are_named_for_what_they_are(members: Make, zipped: Zip) -> None:
    maps = np.asfortranarray(members()["map"])
    problem = only_problem(zipped(members(map=maps)))
    assert "column-major" in problem.message
    assert "ascontiguousarray" in problem.remedy


def bomb(path: Path, members: dict[str, Any], n_bytes: int) -> Path:
    """A file whose map member is `n_bytes` of zeros, a thousandth of that on disk."""
    side = 1024
    count = n_bytes // (side * side * 4)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("trial_id", "meta"):
            stream = io.BytesIO()
            np.lib.format.write_array(stream, members[name])
            archive.writestr(f"{name}.npy", stream.getvalue())
        with archive.open("map.npy", "w", force_zip64=True) as member:
            member.write(header(f"({count}, {side}, {side})"))
            for _ in range(count):
                member.write(bytes(side * side * 4))
    return path


def test_a_bomb_is_recognised_by_the_size_that_it_states(tmp_path: Path, members: Make) -> None:
    path = bomb(tmp_path / "bomb.npz", members(), 64 * 2**20)
    data = path.read_bytes()
    entry = data.rfind(b"PK\x01\x02")
    # the uncompressed size in the table of contents, raised to 4 GB
    path.write_bytes(data[: entry + 24] + struct.pack("<I", 2**32 - 2) + data[entry + 28 :])
    assert zipfile.ZipFile(path).getinfo("map.npy").file_size == 2**32 - 2
    start = time.process_time()
    kinds = {problem.code for problem in problems_of(path)}
    assert kinds == {"E_FILE_DAMAGED"}
    assert time.process_time() - start < 1


def test_a_bomb_that_lies_about_its_size_is_cut_off(members: Make, zipped: Zip) -> None:
    swollen = header("(4, 3, 5)") + bytes(50 * 2**20)
    path = zipped(members(map=swollen))
    data = path.read_bytes()
    stated = struct.pack("<I", len(swollen))
    path.write_bytes(data.replace(stated, struct.pack("<I", len(header("(4, 3, 5)")) + 240)))
    tracemalloc.start()
    problem = only_problem(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problem.code == "E_FILE_DAMAGED"
    assert peak < 2e6


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_damage_is_reported_or_harmless(members: Make, zipped: Zip, data: Any) -> None:
    arrays = members(score=np.zeros(4, np.float32), map_index=np.arange(4))
    path = zipped(arrays)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    if not problems_of(path):
        read = open_predictions(path).maps_of(IDS)
        assert np.array_equal(np.stack([read[name] for name in IDS]), arrays["map"])


def test_an_archive_gives_its_rows_in_blocks(members: Make, zipped: Zip) -> None:
    arrays = members(7)
    archive = Archive(zipped(arrays))
    blocks = list(archive.blocks("map", 3))
    assert archive.problems == []
    assert [len(block) for block in blocks] == [3, 3, 1]
    assert np.array_equal(np.concatenate(blocks), arrays["map"])
