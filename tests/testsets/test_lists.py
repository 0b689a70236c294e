"""Lists of clips: their columns, their headings, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from refusals import refused

from ssl_bench.errors import AnnotationError
from ssl_bench.media.names import ClipNames, clip_names
from ssl_bench.schemas import MAX_BYTES
from ssl_bench.testsets import lists
from ssl_bench.testsets.lists import (
    ClipList,
    labels_by_clip,
    read_clip_list,
    read_id_list,
)

VIDEO = "zYf0pcZ5q3M"


def written(folder: Path, content: bytes | str) -> Path:
    path = folder / "list.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, content: bytes | str) -> ClipList:
    return read_clip_list(written(folder, content))


class TestColumns:
    @pytest.mark.parametrize(
        "content",
        [
            "a_000010\nb_000020\n",
            "\ufeffa_000010\r\n\r\n  b_000020",
            "a_000010\rb_000020\r",
            '"a_000010"\n"b_000020"\n',
            "a_000010,dog\nb_000020,cat\n",
            "a_000010\tdog\nb_000020\tcat\n",
            "a_000010;dog;1\nb_000020;cat;2\n",
            "id\na_000010\nb_000020\n",
            "id,label\na_000010,dog\nb_000020,cat\n",
            ",label,file_name\n0,dog,a_000010\n1,cat,b_000020\n",
            "# a comment\na_000010\n# another\nb_000020\n",
        ],
    )
    def test_every_usual_form(self, content: str, tmp_path: Path) -> None:
        assert read(tmp_path, content).names == ("a_000010", "b_000020")

    @pytest.mark.parametrize(
        "content",
        [
            f'{VIDEO},30,"dog, barking",train\n',
            f"{VIDEO},30.0,dog,train\n",
            f"{VIDEO}.mp4,30,dog\n",
            f"label,video,start\ndog,{VIDEO},30\n",
            f"video_id;start;label\n{VIDEO};00:00:30;dog\n",
            f"{VIDEO},0:30,dog\n",
            f"video_id;start\n{VIDEO};30,0\n",
            f"{VIDEO};30,0;dog\n",
            f"video_id,start_ms\n{VIDEO},30000\n",
            f"url,start\nhttps://www.youtube.com/watch?v={VIDEO},30\n",
            f"video_id,filename\n{VIDEO},{VIDEO}_000030.mp4\n",
            f"0,x\n# YTID, start_seconds, end_seconds, positive_labels\n{VIDEO}, 30.000, 40.000,"
            ' "/m/09x0r,/t/dd00088"\n'.removeprefix("0,x\n"),
        ],
    )
    def test_a_start_in_a_column_of_its_own(self, content: str, tmp_path: Path) -> None:
        content = content.removeprefix("0,x\n")
        clip = ClipNames({f"{VIDEO}_000030": VIDEO}).read(read(tmp_path, content).names[0])
        assert clip is not None
        assert clip.id == f"{VIDEO}_000030"

    @pytest.mark.parametrize("separator", ["\t", ";", ","])
    def test_a_label_may_hold_other_separators(self, separator: str, tmp_path: Path) -> None:
        label = "speech, big; loud, male\tman"
        label = f'"{label}"' if separator == "," else label.replace(separator, " ")
        rows = [separator.join(("a_000010", label, part)) for part in ("train", "test")]
        found = read(tmp_path, "\n".join(rows))
        assert (found.names, found.labels) == (("a_000010",), (label.strip('"'),))
        assert found.tests == ("a_000010",)

    def test_numbers_with_a_start_are_no_whole_videos(self, tmp_path: Path) -> None:
        found = read(tmp_path, "video_id,start\n30,0\n31,10\n")
        known = clip_names(["30_000000", "32_000000"])
        assert known.read(found.names[0]) == ("30_000000", "30")
        assert found.names == ("30_0", "31_10")

    def test_a_number_behind_another_name_is_a_label(self, tmp_path: Path) -> None:
        found = read(tmp_path, "10000130166,3\nparty,4\n")
        assert (found.names, found.labels) == (("10000130166", "party"), ("3", "4"))


class TestParts:
    @pytest.mark.parametrize(
        "content",
        [
            "a,0,dog,train\nb,0,dog,test\nc,1,cat,Train\n",
            "a,train\nb,test\nc,train\n",
            "id,split,label\na,train,dog\nb,TEST,dog\nc,val,cat\n",
            "id,box,test\na,0,0\nb,0,1\nc,0,0\n",
            "id,is_train\na,1\nb,0\nc,True\n",
            "id,usage\na,train\nb,public_test\nc,train\n",
        ],
    )
    def test_rows_marked_test_are_no_training_clips(self, content: str, tmp_path: Path) -> None:
        found = read(tmp_path, content)
        assert (found.names, found.tests) == (("a", "c"), ("b",))
        assert found.note.startswith("left out: 1 row ")

    def test_a_class_of_that_name_is_a_label(self, tmp_path: Path) -> None:
        found = read(tmp_path, "a,train\nb,test\nc,dog\n")
        assert (found.names, found.labels, found.tests) == (
            ("a", "b", "c"),
            ("train", "test", "dog"),
            (),
        )
        assert found.note == ""


class TestLabels:
    def test_they_follow_the_clip_in_every_usual_form(self, tmp_path: Path) -> None:
        lines = [
            "id,label",
            'a_000010.mp4, "speech, woman"',
            "10000130166,3",
            "b_000010",
            "c_000010,",
            "a_000010,'speech",
        ]
        known = clip_names(["a_000010", "10000130166"])
        assert labels_by_clip(read(tmp_path, "\n".join(lines[:-1])), known) == {
            "a_000010": "speech, woman",
            "10000130166": "3",
        }
        with refused("E_LABELS_DIFFER", where="a_000010"):
            labels_by_clip(read(tmp_path, "\n".join(lines)), known)

    def test_many_contradictions_are_counted(self, tmp_path: Path) -> None:
        lines = [f"clip{n:03d},{label}" for n in range(30) for label in ("dog", "cat", "dog")]
        with refused("E_LABELS_DIFFER") as caught:
            labels_by_clip(read(tmp_path, "\n".join(lines)), clip_names([]))
        assert isinstance(caught.value, AnnotationError)
        assert len(caught.value.problems) == 30

    def test_a_line_that_no_table_has_is_named(self, tmp_path: Path) -> None:
        for line in ('b,"' + "x" * 200_000, "," * 200_000):
            with refused("E_CSV", where="line 2"):
                read(tmp_path, f"a,dog\n{line}\n")


class TestFiles:
    def test_compressed_and_plain_lists_are_one(self, tmp_path: Path) -> None:
        content = b"a_000010\nb_000020\n"
        plain = read(tmp_path, content)
        assert read(tmp_path, gzip.compress(content, mtime=0)) == plain

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b"", "E_FILE_EMPTY"),
            (b"\n \n", "E_FILE_EMPTY"),
            (b"id,label\n", "E_FILE_EMPTY"),
            (b"caf\xe9\n", "E_ENCODING"),
            ("a_000010\n".encode("utf-16"), "E_ENCODING"),
            (gzip.compress(b"a_000010\n" * 900, mtime=0)[:40], "E_FILE_DAMAGED"),
            (b"\x1f\x8bnot a gzip file", "E_FILE_DAMAGED"),
            (b'["a_000010", "b_000020"]', "E_LIST_JSON"),
            (b"a_000010,b_000020,c_000030\n", "E_LIST_LINE"),
            (f"{VIDEO}_30.mp4 ; {VIDEO}_40.mp4\n".encode(), "E_LIST_LINE"),
            (f"{VIDEO},---g-f_I2yQ,Ybd5lEnpT_8\n".encode(), "E_LIST_LINE"),
            (",".join(map(str, range(10**10, 10**10 + 30))).encode(), "E_LIST_LINE"),
            (b"video_id,start\n30,0\n31,soon\n", "E_LIST_START"),
        ],
    )
    def test_what_is_no_list_is_refused_with_its_file(
        self, content: bytes, code: str, tmp_path: Path
    ) -> None:
        with refused(code, where=tmp_path / "list.txt"):
            read(tmp_path, content)

    def test_more_clips_than_any_list_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lists, "MAX_CLIPS", 3)
        assert len(read(tmp_path, "a\nb\n\nc\n").names) == 3
        with refused("E_FILE_SIZE", where="list.txt"):
            read(tmp_path, "a\nb\n\nc\nd\n")

    def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(self, tmp_path: Path) -> None:
        with gzip.open(tmp_path / "bomb.gz", "wb", compresslevel=1) as stream:
            for _ in range(MAX_BYTES // 2**20 + 1):
                stream.write(b"\n" * 2**20)
        with refused("E_FILE_SIZE", where="bomb.gz"):
            read_clip_list(tmp_path / "bomb.gz")

    def test_no_file_and_a_folder(self, tmp_path: Path) -> None:
        with refused("E_FILE_MISSING", where="gone.txt"):
            read_clip_list(tmp_path / "gone.txt")
        with refused("E_FILE_UNREADABLE", where=tmp_path):
            read_clip_list(tmp_path)


def test_ids_of_a_test_list_lose_folders_and_endings(tmp_path: Path) -> None:
    path = written(tmp_path, "Data/1/10000130166.png\n3908875350.mp4\n")
    assert read_id_list(path, remedy="") == ["10000130166", "3908875350"]
    with refused("E_ID_REPEATED", where="10000130166"):
        read_id_list(written(tmp_path, "10000130166.png\n10000130166\n"), remedy="")
