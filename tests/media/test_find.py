"""Finding media files by the names of clips."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from refusals import refused

from ssl_bench.media.find import MediaFiles, key_of, require_content
from ssl_bench.media.names import ClipNames, bare

VIDEO = "zYf0pcZ5q3M"
CLIP = f"{VIDEO}_000030"
SUFFIXES = [".jpg", ".png"]


def files(folder: Path, *names: str, suffixes: list[str] = SUFFIXES) -> MediaFiles:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return MediaFiles([folder], suffixes, key_of(ClipNames({CLIP: VIDEO})), frames=True)


def test_the_first_suffix_wins(tmp_path: Path) -> None:
    found = files(tmp_path, f"{CLIP}.png", f"{CLIP}.jpg")
    assert found.find(CLIP) == tmp_path / f"{CLIP}.jpg"
    found = files(tmp_path, suffixes=[".png", ".jpg"])
    assert found.find(CLIP) == tmp_path / f"{CLIP}.png"


@pytest.mark.parametrize(
    "name",
    [
        f"{CLIP}.JPG",
        f"{CLIP}.mp4.jpg",
        f"{VIDEO}_30.jpg",
        f"{VIDEO}_30000_40000.jpg",
        f"Y{CLIP}.png",
        f"dog_{CLIP}.png",
        f"{CLIP}/frame1.jpg",
        f"{CLIP}.mp4/frame1.jpg",
    ],
)
def test_other_spellings_are_found(name: str, tmp_path: Path) -> None:
    assert files(tmp_path, name).find(CLIP) == tmp_path / name


def test_the_exact_name_comes_before_others(tmp_path: Path) -> None:
    found = files(tmp_path, f"{VIDEO}_30.jpg", f"{CLIP}.png", f"{CLIP}/1.jpg")
    assert found.find(CLIP) == tmp_path / f"{CLIP}.png"


@pytest.mark.parametrize(
    "names",
    [
        (f"{VIDEO}_30.jpg", f"{VIDEO}_30000_40000.jpg"),
        (f"{CLIP}.jpg", f"{CLIP}.JPG"),
        (f"{CLIP}_1.jpg", f"{CLIP}_2.jpg"),
    ],
)
def test_what_several_files_may_be_is_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    with refused("E_FILE_AMBIGUOUS", where=tmp_path) as caught:
        files(tmp_path, *names).find(CLIP)
    assert all(name in str(caught.value) for name in names)


def test_a_clip_of_another_start_or_a_whole_video_is_not_it(tmp_path: Path) -> None:
    assert files(tmp_path, f"{VIDEO}_40.jpg", f"{VIDEO}.jpg").find(CLIP) is None


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    assert files(tmp_path, f"._{CLIP}.jpg").find(CLIP) is None
    assert files(tmp_path, f"{CLIP}.jpg").find(CLIP) == tmp_path / f"{CLIP}.jpg"


@pytest.mark.parametrize(
    ("names", "middle"),
    [
        ([f"{number}.jpg" for number in range(1, 251)], "126.jpg"),
        ([f"frame_{number}.png" for number in range(1, 13)], "frame_7.png"),
        ([f"{number:04d}.JPG" for number in range(1, 251)], "0126.JPG"),
        (["1.jpg", "2.jpg", "3.jpg", "10.jpg", "11.jpg", "._3.jpg", "notes.txt"], "3.jpg"),
        (["1.jpg", "1.png", "2.jpg", "3.jpg"], "2.jpg"),
    ],
)
def test_of_a_folder_the_middle_frame_by_number(
    names: list[str], middle: str, tmp_path: Path
) -> None:
    found = files(tmp_path, *(f"{CLIP}/{name}" for name in names))
    assert found.find(CLIP) == tmp_path / CLIP / middle


def test_both_forms_of_unicode_are_one_name(tmp_path: Path) -> None:
    (tmp_path / (unicodedata.normalize("NFD", "café") + ".jpg")).touch()
    found = MediaFiles([tmp_path], SUFFIXES, bare)
    assert list(found.clips) == [unicodedata.normalize("NFC", "café")]
    assert found.find(unicodedata.normalize("NFC", "café")) is not None


def test_what_is_missing_is_named_with_what_lies_there(tmp_path: Path) -> None:
    names = ("aaa.jpg", f"{VIDEO}_364.jpg", f"{CLIP}.gif")
    with refused("E_FILE_MISSING", where=CLIP) as caught:
        files(tmp_path / "frames", *names).require(CLIP)
    assert f"frames/ holds 3 other files, such as '{CLIP}.gif'" in str(caught.value)
    with refused("E_FILE_MISSING", where="does not exist"):
        MediaFiles([tmp_path / "gone"], SUFFIXES, bare).require(CLIP)


def test_an_empty_file_has_no_content(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with refused("E_FILE_EMPTY"):
        require_content(tmp_path / "a")
    with refused("E_FILE_MISSING"):
        require_content(tmp_path / "b")
