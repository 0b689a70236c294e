"""Overlap of training lists with test sets."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standins import sample

from ssl_bench.errors import AnnotationError
from ssl_bench.testsets.audit import (
    MAX_LIST_BYTES,
    TrainingList,
    audit,
    read_clip_labels,
    read_training_list,
)
from ssl_bench.testsets.identifiers import video_of

SAMPLES = [
    sample("videoA_____000010", group="videoA____"),
    sample("videoA_____000050", group="videoA____"),
    sample("videoB_____000010", group="videoB____"),
    sample("videoC_____000010", group="videoC____"),
]


def written(folder: Path, content: bytes | str) -> Path:
    path = folder / "list.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class TestLabels:
    def test_they_follow_the_clip_in_every_usual_form(self, tmp_path: Path) -> None:
        lines = [
            "id,label",
            'a_000010.mp4, "speech, woman"',
            '---g-f_I2yQ,1,"people marching",train',
            "10000130166,3",
            "b_000010",
            "c_000010,",
            "a_000010,'speech",
        ]
        assert read_clip_labels(written(tmp_path, "\n".join(lines[:-1]))) == {
            "id": "label",
            "a_000010": "speech, woman",
            "---g-f_I2yQ_000001": "people marching",
            "10000130166": "3",
        }
        with refused("E_LABELS_DIFFER", where="a_000010"):
            read_clip_labels(written(tmp_path, "\n".join(lines)))

    def test_many_contradictions_are_counted(self, tmp_path: Path) -> None:
        lines = [f"clip{n:03d},{label}" for n in range(30) for label in ("dog", "cat", "dog")]
        with refused("E_LABELS_DIFFER") as caught:
            read_clip_labels(written(tmp_path, "\n".join(lines)))
        assert isinstance(caught.value, AnnotationError)
        assert len(caught.value.problems) == 30

    def test_a_line_that_no_table_has_is_named(self, tmp_path: Path) -> None:
        with refused("E_CSV", where="line 2"):
            read_clip_labels(written(tmp_path, "a,dog\nb," + "x" * 200_000))


class TestReading:
    @pytest.mark.parametrize(
        "content",
        [
            "videoA_____000010\nvideoB_____000020\n",
            "\ufeffvideoA_____000010\r\n\r\n  videoB_____000020",
            "videoA_____000010.mp4\nvideoB_____000020.WAV\n",
            "videoA_____000010,dog,train\nvideoB_____000020,cat,train\n",
        ],
    )
    def test_every_usual_form_of_a_list(self, content: str, tmp_path: Path) -> None:
        read = read_training_list(written(tmp_path, content))
        assert read.clips == ("videoA_____000010", "videoB_____000020")
        assert read.repeated == 0

    def test_rows_of_the_table_of_vgg_sound_name_video_and_start(self, tmp_path: Path) -> None:
        path = written(tmp_path, '---g-f_I2yQ,1,"people marching",train\nzYf0pcZ5q3M,30,dog,test\n')
        assert read_training_list(path).clips == ("---g-f_I2yQ_000001", "zYf0pcZ5q3M_000030")

    def test_ids_of_flickr_are_not_taken_for_videos_with_a_start(self, tmp_path: Path) -> None:
        assert read_training_list(written(tmp_path, "10000130166,3\n")).clips == ("10000130166",)

    def test_repeated_lines_are_counted_once(self, tmp_path: Path) -> None:
        read = read_training_list(written(tmp_path, "b_000001\na_000001\nb_000001.wav\n"))
        assert (read.clips, read.repeated) == (("b_000001", "a_000001"), 1)

    def test_compressed_and_plain_lists_are_one(self, tmp_path: Path) -> None:
        content = b"a_000010\nb_000020\n"
        plain = read_training_list(written(tmp_path, content))
        assert read_training_list(written(tmp_path, gzip.compress(content, mtime=0))) == plain

    @pytest.mark.parametrize(
        ("content", "code", "place"),
        [
            (b"", "E_FILE_EMPTY", ""),
            (b"\n \n", "E_FILE_EMPTY", ""),
            (b"a_000010\nb c\n", "E_ID", "line 2"),
            (b"../../etc/passwd\n", "E_ID", "line 1"),
            (b"\x1b[2J\n", "E_ID", "line 1"),
            (b"caf\xe9\n", "E_ENCODING", ""),
            (gzip.compress(b"a_000010\n" * 900, mtime=0)[:40], "E_FILE_DAMAGED", ""),
            (b"\x1f\x8bnot a gzip file", "E_FILE_DAMAGED", ""),
        ],
    )
    def test_hostile_lists_are_refused_with_their_file(
        self, content: bytes, code: str, place: str, tmp_path: Path
    ) -> None:
        path = written(tmp_path, content)
        with refused(code, where=path) as caught:
            read_training_list(path)
        assert place in str(caught.value)

    def test_many_bad_lines_are_summed_up(self, tmp_path: Path) -> None:
        path = written(tmp_path, "no clip\n" * 500)
        with refused("E_ID") as caught:
            read_training_list(path)
        assert isinstance(caught.value, AnnotationError)
        assert len(caught.value.problems) == 500
        assert len(str(caught.value).splitlines()) < 100

    def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(self, tmp_path: Path) -> None:
        with gzip.open(tmp_path / "bomb.gz", "wb", compresslevel=1) as stream:
            for _ in range(MAX_LIST_BYTES // 2**20 + 1):
                stream.write(b"\n" * 2**20)
        with refused("E_FILE_SIZE", where="bomb.gz"):
            read_training_list(tmp_path / "bomb.gz")

    def test_no_file_and_a_folder(self, tmp_path: Path) -> None:
        with refused("E_FILE_MISSING", where="gone.txt"):
            read_training_list(tmp_path / "gone.txt")
        with refused("E_FILE_UNREADABLE", where=tmp_path):
            read_training_list(tmp_path)


class TestAudit:
    def test_a_listed_clip_and_another_clip_of_its_video(self) -> None:
        found = audit(TrainingList(("videoA_____000010", "videoX_____000000"), 2), SAMPLES)
        assert found.clips == ("videoA_____000010",)
        assert found.videos == ("videoA_____000050",)
        assert found.clean == ("videoB_____000010", "videoC_____000010")
        assert (found.listed, found.repeated, found.without_start) == (2, 2, 0)

    def test_a_listed_video_without_start(self) -> None:
        found = audit(TrainingList(("videoB____", "videoX_____000000"), 0), SAMPLES)
        assert found.videos == ("videoB_____000010",)
        assert found.without_start == 1

    def test_a_list_of_another_form_is_refused_instead_of_called_clean(self) -> None:
        with refused("E_LIST_WITHOUT_START", where="videoA_____10"):
            audit(TrainingList(("videoA_____10", "other"), 0), SAMPLES)

    def test_ids_without_start_are_compared_as_they_are(self) -> None:
        samples = [sample(name, group=name) for name in ("10", "11")]
        assert audit(TrainingList(("11", "12"), 0), samples).clips == ("11",)

    @given(st.sets(st.sampled_from([each.id for each in SAMPLES]), min_size=1))
    def test_the_three_parts_make_up_the_test_set(self, listed: set[str]) -> None:
        found = audit(TrainingList(tuple(sorted(listed)), 0), SAMPLES)
        assert set(found.clips) == listed
        parts = [*found.clips, *found.videos, *found.clean]
        assert sorted(parts) == sorted(each.id for each in SAMPLES)
        assert not {video_of(name) for name in found.clean} & {video_of(name) for name in listed}
