"""Files appear whole or not at all; digests are of content."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kills import content, hidden, killed_everywhere
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.files import (
    CACHE_VARIABLE,
    atomic_path,
    cache_folder,
    digest_of_code,
    files_of,
    replaced_folder,
    sha256_of_file,
    sha256_of_json,
    temporary_folder,
    write_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def write_half(target: Path, error: type[BaseException]) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


class TestAtomicPath:
    def test_the_file_appears_at_the_end_and_its_folders_are_made(self, tmp_path: Path) -> None:
        target = tmp_path / "a" / "b" / "c.txt"
        with atomic_path(target) as temporary:
            temporary.write_text("whole")
            assert not target.exists()
        assert target.read_text() == "whole"
        assert list(target.parent.iterdir()) == [target]

    def test_the_temporary_file_lies_beside_the_target_with_its_ending(
        self, tmp_path: Path
    ) -> None:
        target = tmp_path / "c.parquet"
        with atomic_path(target) as temporary:
            assert temporary.parent.parent == target.parent
            assert temporary.suffix == ".parquet"
            assert temporary.exists()

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_an_error_leaves_nothing_behind(
        self, tmp_path: Path, error: type[BaseException]
    ) -> None:
        with pytest.raises(error):
            write_half(tmp_path / "c.txt", error)
        assert list(tmp_path.iterdir()) == []

    def test_an_error_leaves_what_stood_there(self, tmp_path: Path) -> None:
        target = tmp_path / "c.txt"
        target.write_text("before")
        with pytest.raises(ValueError):
            write_half(target, ValueError)
        assert target.read_text() == "before"
        assert list(tmp_path.iterdir()) == [target]

    def test_a_body_that_removes_its_file_fails_and_leaves_the_target(self, tmp_path: Path) -> None:
        target = tmp_path / "c.txt"
        target.write_text("before")
        with pytest.raises(FileNotFoundError), atomic_path(target) as temporary:
            temporary.unlink()
        assert target.read_text() == "before"

    def test_a_pipe_or_a_device_is_not_replaced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def replaced(_source: Path, target: Path) -> Path:
            raise AssertionError(f"{target} would be replaced for everyone on this machine")

        # As root, and with the output in a file, a missing guard would do so.
        monkeypatch.setattr(Path, "replace", replaced)
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        for target in (pipe, Path("/dev/null"), Path("/dev/stdout")):
            with pytest.raises(FileExistsError) as refused:
                write_text(target, "text")
            assert refused.value.filename == str(target)
        assert pipe.is_fifo()
        assert Path("/dev/null").is_char_device()

    def test_errors_name_the_target_and_not_the_temporary_file(self, tmp_path: Path) -> None:
        with pytest.raises(IsADirectoryError) as folder:
            write_text(tmp_path, "text")
        assert folder.value.filename == str(tmp_path)
        long = tmp_path / ("x" * 240)
        with pytest.raises(OSError) as unnameable:
            write_text(long, "text")
        assert unnameable.value.errno == errno.ENAMETOOLONG
        assert unnameable.value.filename == str(long)

    def test_a_full_disk_is_told_with_the_name_of_the_file(self, tmp_path: Path) -> None:
        target = tmp_path / "c.txt"
        with pytest.raises(OSError) as full, atomic_path(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert full.value.errno == errno.ENOSPC
        assert full.value.filename == str(target)
        assert list(tmp_path.iterdir()) == []

    def test_concurrent_writers_leave_one_whole_file(self, tmp_path: Path) -> None:
        target = tmp_path / "c.txt"
        meeting = threading.Barrier(8)

        def write(letter: str) -> None:
            meeting.wait()
            for _ in range(10):
                with atomic_path(target) as temporary, temporary.open("w") as stream:
                    for _ in range(20):
                        stream.write(letter * 500)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, "abcdefgh"))
        text = target.read_text()
        assert len(text) == 10_000
        assert len(set(text)) == 1
        assert list(tmp_path.iterdir()) == [target]

    def test_what_a_killed_process_left_is_removed_by_the_next(self, tmp_path: Path) -> None:
        target = tmp_path / "c.txt"
        write_text(target, "before")
        for _ in killed_everywhere(lambda: write_text(target, "after")):
            assert target.read_text() in ("before", "after")
            write_text(target, "before")
            assert hidden(target) == []

    def test_what_a_living_process_writes_stays(self, tmp_path: Path) -> None:
        target = tmp_path / "c.txt"
        with atomic_path(target) as temporary:
            temporary.write_text("whole")
            write_text(target, "shorter")
        assert target.read_text() == "whole"

    def test_a_full_disk_is_told_whatever_the_library_calls_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Full:
            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_error: object) -> None:
                pass

            def write(self, _data: bytes) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        target = tmp_path / "c.pt"
        with pytest.raises(RuntimeError, match="unexpected"), atomic_path(target):
            raise RuntimeError("unexpected position")
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_where: Full())
        with pytest.raises(OSError, match="No space") as full, atomic_path(target):
            raise RuntimeError("unexpected position")
        assert full.value.filename == str(target)

    @pytest.fixture
    def umask(self) -> Iterator[int]:
        before = os.umask(0o027)
        yield 0o027
        os.umask(before)

    def test_the_file_has_the_user_s_usual_rights(self, tmp_path: Path, umask: int) -> None:
        write_text(tmp_path / "c.txt", "text")
        assert (tmp_path / "c.txt").stat().st_mode & 0o777 == 0o666 & ~umask

    def test_the_user_s_umask_is_never_touched(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def touched(_mask: int) -> int:
            raise AssertionError("another thread would see this umask")

        monkeypatch.setattr(os, "umask", touched)
        write_text(tmp_path / "c.txt", "text")
        assert (tmp_path / "c.txt").read_text() == "text"


def write_run(folder: Path, text: str, *names: str, overwrite: bool = True) -> None:
    with replaced_folder(folder, ("*.txt", "in/*.txt"), overwrite=overwrite) as fresh:
        for name in names or ("a.txt", "b.txt"):
            write_text(fresh / name, text)


class TestReplacedFolder:
    @pytest.fixture(params=["swapped", "moved one by one", "where the process stands"])
    def folder(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        if request.param == "moved one by one":

            def unable(_one: Path, other: Path) -> None:
                raise OSError(errno.EINVAL, "cannot be swapped", str(other))

            monkeypatch.setattr("ssl_bench.files._exchange", unable)
        elif request.param == "where the process stands":
            monkeypatch.chdir(folder)
        return folder

    def test_own_files_are_replaced_and_others_stay(self, folder: Path) -> None:
        write_run(folder, "1", "a.txt", "in/b.txt")
        (folder / "in" / "mine.csv").write_text("kept")
        (folder / "empty").mkdir()
        (folder / "link").symlink_to("nowhere")
        write_run(folder, "2", "a.txt", "c.txt")
        assert content(folder) == {"a.txt": b"2", "c.txt": b"2", "in/mine.csv": b"kept"}
        assert (folder / "empty").is_dir()
        assert (folder / "link").is_symlink()
        assert hidden(folder) == []

    def test_an_error_leaves_what_stood_there(self, folder: Path) -> None:
        write_run(folder, "1")
        with pytest.raises(ValueError, match="half"), replaced_folder(folder, ("*.txt",)):
            raise ValueError("half")
        assert content(folder) == {"a.txt": b"1", "b.txt": b"1"}
        assert hidden(folder) == []

    def test_what_is_there_already_is_kept_where_it_must_be(self, folder: Path) -> None:
        write_run(folder, "1")
        with pytest.raises(FileExistsError):
            write_run(folder, "2", overwrite=False)
        assert content(folder) == {"a.txt": b"1", "b.txt": b"1"}

    def test_what_was_made_meanwhile_is_kept_beside_it(self, folder: Path) -> None:
        def overtaken() -> None:
            with replaced_folder(folder, ("*.txt",), overwrite=False, keep=True) as fresh:
                (fresh / "a.txt").write_text("2")
                write_run(folder, "1")

        with pytest.raises(FileExistsError) as refused:
            overtaken()
        assert [path.read_text() for path in files_of(folder, ("*.txt",))] == ["1", "1"]
        [kept] = folder.parent.resolve().rglob(f"{folder.resolve().name}-*")
        assert content(kept) == {"a.txt": b"2"}
        assert str(kept) in str(refused.value)

    def test_a_process_that_dies_leaves_the_old_or_the_new(
        self, folder: Path, request: pytest.FixtureRequest
    ) -> None:
        (folder / "mine.csv").write_text("kept")
        write_run(folder, "1")
        old = content(folder)
        new = {"a.txt": b"2", "c.txt": b"2", "mine.csv": b"kept"}
        for _ in killed_everywhere(lambda: write_run(folder, "2", "a.txt", "c.txt")):
            if "swapped" in request.node.name:
                assert content(folder) in (old, new)
            assert content(folder)["mine.csv"] == b"kept"
            write_run(folder, "2", "a.txt", "c.txt")
            assert content(folder) == new
            assert hidden(folder) == []
            write_run(folder, "1")
            assert content(folder) == old

    def test_what_is_to_be_finished_never_leads_out(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "a.txt").write_text("kept")
        (folder / "link").symlink_to(tmp_path / "outside")
        ready = folder / ".ready"
        (ready / "link").mkdir(parents=True)
        (ready / "link" / "a.txt").write_text("hostile")
        names = ["../outside/a.txt", str(tmp_path / "outside" / "a.txt"), "link/a.txt"]
        (ready / ".gone").write_text(json.dumps(names))
        write_run(folder, "1")
        assert (tmp_path / "outside" / "a.txt").read_text() == "kept"
        assert hidden(folder) == []

    def test_its_rights_stay(self, folder: Path) -> None:
        folder.chmod(0o711)
        write_run(folder, "1")
        write_run(folder, "2")
        assert folder.stat().st_mode & 0o777 == 0o711

    def test_errors_name_the_file_that_was_to_be(self, folder: Path) -> None:
        with pytest.raises(OSError, match="No space") as full, replaced_folder(folder, ()) as fresh:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(fresh / "a.txt"))
        assert full.value.filename == str(folder / "a.txt")
        with refused("E_DATA", where=folder / "a.txt"), replaced_folder(folder, ()) as fresh:
            raise DataError("bad", where=fresh / "a.txt")


def test_a_link_to_itself_is_no_place_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(OSError, match="ring"), replaced_folder(tmp_path / "ring", ["*"]):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["ring"]


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    for _ in killed_everywhere(lambda: write_run(folder, "1")):
        assert content(folder) in ({}, {"a.txt": b"1", "b.txt": b"1"})
        write_run(folder, "1")
        assert hidden(folder) == []
        shutil.rmtree(folder.parent)


def test_several_processes_may_write_one_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: write_run(tmp_path / "run", text), "1234" * 5))
    assert len(set(content(tmp_path / "run").values())) == 1
    assert hidden(tmp_path / "run") == []


def test_pipes_links_and_hidden_files_are_no_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("1")
    (tmp_path / ".b.npz").write_text("1")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "c.npz").write_text("1")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.npz")
    assert files_of(tmp_path, ["*.npz", "*/*.npz"]) == [tmp_path / "a.npz"]


def test_temporary_folders_of_killed_processes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def write() -> None:
        with temporary_folder() as folder:
            (folder / "a.txt").write_text("1")

    for _ in killed_everywhere(write):
        write()
        assert list(tmp_path.iterdir()) == []


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "c.txt", "Größe\n")
    assert (tmp_path / "c.txt").read_bytes() == "Größe\n".encode()


class TestDigests:
    def test_of_a_file_is_that_of_its_bytes(self, tmp_path: Path) -> None:
        content = bytes(range(256)) * 5000
        (tmp_path / "c").write_bytes(content)
        assert sha256_of_file(tmp_path / "c") == hashlib.sha256(content).hexdigest()

    @given(st.dictionaries(st.text(max_size=3), JSON, max_size=5))
    def test_the_order_of_keys_does_not_matter(self, content: dict[str, Any]) -> None:
        turned = dict(reversed(content.items()))
        assert sha256_of_json(turned) == sha256_of_json(content)

    @given(JSON, JSON)
    def test_equal_digests_mean_equal_json(self, one: Any, other: Any) -> None:
        same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
        assert (sha256_of_json(one) == sha256_of_json(other)) == same

    def test_of_code_change_with_files_suffixes_content_and_libraries(self) -> None:
        digests = {
            digest_of_code(),
            digest_of_code(("files.py",)),
            digest_of_code(suffixes=(".py", ".css")),
            digest_of_code(content=("protocols",)),
            digest_of_code(libraries=("numpy",)),
            digest_of_code(libraries=("numpy", "no-such-library")),
        }
        assert len(digests) == 6


class TestCacheFolder:
    def test_can_be_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
        assert cache_folder("a", "b") == tmp_path / "a" / "b"
        monkeypatch.delenv(CACHE_VARIABLE)
        assert cache_folder().name == "ssl-bench"

    @pytest.fixture
    def homeless(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in (CACHE_VARIABLE, "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return tmp_path

    @pytest.mark.parametrize("home", ["~", "/dev/null/home", "/proc/home"])
    def test_is_a_temporary_one_of_the_user_without_a_home(
        self, homeless: Path, monkeypatch: pytest.MonkeyPatch, home: str
    ) -> None:
        monkeypatch.setenv("HOME", home)
        if home == "~":  # as for a user without an entry in the list of users
            monkeypatch.setattr(platformdirs, "user_cache_path", partial(Path, "~", ".cache"))
        monkeypatch.chdir(homeless)
        assert cache_folder("synth") == homeless / f"ssl-bench-{os.getuid()}" / "synth"
        assert [each.name for each in homeless.iterdir()] == [f"ssl-bench-{os.getuid()}"]

    def test_that_others_can_write_is_not_taken(
        self, homeless: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (homeless / f"ssl-bench-{os.getuid()}").mkdir()
        (homeless / f"ssl-bench-{os.getuid()}").chmod(0o777)
        monkeypatch.setenv("HOME", "/dev/null/home")
        assert cache_folder() == Path("/dev/null/home/.cache/ssl-bench")
        monkeypatch.setattr(platformdirs, "user_cache_path", partial(Path, "~", ".cache"))
        assert cache_folder() == Path(os.devnull, "ssl-bench")
