"""What is found out about files before they are used, and what is remembered of it."""

from __future__ import annotations

import csv
import os
import sqlite3
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media import check
from ssl_bench.media.check import (
    Checked,
    CheckOptions,
    Facts,
    Kind,
    Wanted,
    check_media,
    refuse_unusable,
    write_report,
)
from ssl_bench.media.find import MediaFiles


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded."""
    names: list[str] = []
    for name in ("examine_audio", "examine_image"):

        def read(path: Path, own: object = getattr(check, name)) -> object:
            names.append(path.name)
            return own(path)  # type: ignore[operator]

        monkeypatch.setattr(check, name, read)
    return names


def wanted(*paths: Path) -> list[Wanted]:
    def kind(path: Path) -> Kind:
        return "sound" if path.suffix in (".wav", ".flac") else "image"

    return [Wanted(path.stem, kind(path), lambda path=path: path) for path in paths]


def sound(path: Path, samples: object, rate: int = 16000, **settings: str) -> Path:
    soundfile.write(path, samples, rate, **settings)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    noise = rng.integers(-3000, 3000, 32000).astype(np.int16)
    whole = sound(tmp_path / "whole.wav", noise)
    damaged = sound(tmp_path / "damaged.flac", noise)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    damaged.write_bytes(content)
    endless = sound(tmp_path / "endless.wav", np.full(16000, np.nan, np.float32), subtype="FLOAT")
    muted = sound(tmp_path / "muted.wav", np.zeros(160, np.int16))
    black = tmp_path / "black.png"
    Image.new("RGB", (64, 48)).save(black)
    return [whole, damaged, endless, muted, black]


def codes(checked: list[Checked]) -> dict[str, list[str]]:
    return {
        each.item: [
            *([each.facts.problem.code] if each.facts.problem else []),
            *(note.code for note in each.facts.notes),
        ]
        for each in checked
    }


def test_what_is_damaged_inside_is_a_problem_and_what_is_odd_a_note(files: list[Path]) -> None:
    checked = check_media(wanted(*files))
    found = codes(checked)
    assert found["whole"] == []
    assert found["damaged"] != []
    assert found["endless"] == ["E_NOT_FINITE"]
    assert set(found["muted"]) == {"N_SOUND_SHORT", "N_SOUND_SILENT"}
    assert found["black"] == ["N_IMAGE_FLAT"]
    assert [each.problem is None for each in checked] == [True, False, False, True, True]
    assert (checked[0].facts.rate, checked[0].facts.channels) == (16000, 1)


def test_headers_alone_do_not_show_it(files: list[Path]) -> None:
    checked = check_media(wanted(*files), CheckOptions(decode=False))
    assert not any(each.problem or each.facts.notes for each in checked)


def test_a_missing_file_is_a_problem_of_its_clip(tmp_path: Path) -> None:
    nothing = MediaFiles([tmp_path / "frames"], [".png"], str)
    [checked] = check_media([Wanted("clip", "image", partial(nothing.require, "clip"))])
    assert checked.path is None
    assert checked.problem is not None
    assert checked.problem.startswith("clip (image): ")
    assert checked.problem.code == "E_FILE_MISSING"


def test_what_code_makes_has_no_problem() -> None:
    [checked] = check_media([Wanted("clip", "image", lambda: None)])
    assert checked.facts == Facts()


def test_sounds_that_the_model_does_not_take_are_problems(files: list[Path]) -> None:
    asked = []

    def takes(heard: object) -> None:
        asked.append(heard)
        raise DataError("wrong rate", code="E_SOUND_RATE")

    checked = check_media(wanted(*files), takes=takes)
    problems = [each.problem.code for each in checked if each.problem is not None]
    assert problems.count("E_SOUND_RATE") == 2
    assert len(asked) == 1  # one rate and number of channels
    with refused("E_SOUND_RATE", where="--resample"):
        refuse_unusable(checked, where="here", remedy="add the files")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_is_read_once_however_many_clips_name_it(
    files: list[Path], reads: list[str], jobs: int
) -> None:
    done: list[tuple[int, int]] = []
    options = CheckOptions(jobs=jobs, progress=lambda *counts: done.append(counts))
    checked = check_media(wanted(*files, *files), options)
    assert sorted(reads) == sorted(path.name for path in files)
    assert codes(checked[:5]) == codes(checked[5:])
    assert done[-1] == (5, 5)


def test_what_was_usable_is_read_again_only_when_it_changed(
    files: list[Path], reads: list[str]
) -> None:
    first = check_media(wanted(*files))
    reads.clear()
    assert check_media(wanted(*files)) == first
    assert sorted(reads) == ["damaged.flac", "endless.wav"]
    reads.clear()
    stamp = files[0].stat()
    content = bytearray(files[0].read_bytes())
    content[20000] ^= 1
    files[0].write_bytes(content)
    os.utime(files[0], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    check_media(wanted(files[0]))
    assert reads == ["whole.wav"]


def test_it_is_read_again_by_other_readers(
    files: list[Path], reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_media(wanted(files[0]))
    monkeypatch.setattr(check, "_code", lambda: "another version")
    check_media(wanted(files[0]))
    assert reads == ["whole.wav"] * 2


def test_without_a_cache_everything_is_read(
    files: list[Path], reads: list[str], cache: Path
) -> None:
    cache.write_text("a file, and no folder")
    for _ in range(2):
        assert codes(check_media(wanted(files[0]))) == {"whole": []}
    assert reads == ["whole.wav"] * 2


def test_a_damaged_cache_is_made_anew(files: list[Path], reads: list[str], cache: Path) -> None:
    cache.mkdir()
    (cache / "media.sqlite").write_bytes(b"no database" * 100)
    for _ in range(3):
        check_media(wanted(files[0]))
    assert reads == ["whole.wav"] * 2
    with sqlite3.connect(cache / "media.sqlite") as base:
        assert base.execute("SELECT COUNT(*) FROM media").fetchone() == (1,)


def test_many_files_are_read_by_processes_with_the_same_outcome(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = check_media(wanted(*files))
    for name, value in (("_ALONE", 0.0), ("_TRIED", 0.0), ("_BATCH", 2)):
        monkeypatch.setattr(check, name, value)
    monkeypatch.setattr(check, "_code", lambda: "another version")
    assert check_media(wanted(*files), CheckOptions(jobs=2)) == alone


def test_a_report_names_every_problem_and_note(files: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / "odd\udcff.png"
    write_report(
        tmp_path / "report.csv",
        [*check_media(wanted(*files[2:4])), *check_media([Wanted("odd", "image", lambda: odd)])],
    )
    with (tmp_path / "report.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["level"], row["code"], row["id"]) for row in rows] == [
        ("problem", "E_NOT_FINITE", "endless"),
        ("note", "N_SOUND_SHORT", "muted"),
        ("note", "N_SOUND_SILENT", "muted"),
        ("problem", "E_FILE_MISSING", "odd"),
    ]
    assert rows[0]["file"] == str(files[2])
