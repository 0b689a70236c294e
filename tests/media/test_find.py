"""Finding media files by the id of a sample."""

from __future__ import annotations

from pathlib import Path

from refusals import refused

from ssl_bench.media.find import find_media, require_content, require_media


def test_the_first_suffix_wins(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        (tmp_path / name).touch()
    assert find_media(tmp_path, "a", [".jpg", ".png"]) == tmp_path / "a.jpg"
    assert find_media(tmp_path, "a", [".png", ".jpg"]) == tmp_path / "a.png"


def test_a_dot_in_the_stem_is_part_of_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.b.jpg").touch()
    assert find_media(tmp_path, "a.b", [".jpg"]) == tmp_path / "a.b.jpg"
    assert find_media(tmp_path, "a", [".jpg"]) is None


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    assert find_media(tmp_path, "a", [".jpg"]) is None


def test_what_is_missing_is_named_with_the_endings_that_would_do(tmp_path: Path) -> None:
    with refused("E_FILE_MISSING", where="clip"):
        require_media(tmp_path, "clip", [".jpg", ".png"])


def test_an_empty_file_has_no_content(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with refused("E_FILE_EMPTY"):
        require_content(tmp_path / "a")
    with refused("E_FILE_MISSING"):
        require_content(tmp_path / "b")
