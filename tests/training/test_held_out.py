"""Training clips must not belong to a test set."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench.errors import DataError, SslBenchError
from ssl_bench.training.held_out import HeldOut, read_held_out, refuse_overlap

KEPT = HeldOut("vggss", frozenset({"a_000010", "b_000010"}), frozenset({"a", "b"}))


def test_clips_of_other_videos_are_fine():
    refuse_overlap(["c_000010", "d_000010"], KEPT, where="mine.txt")


def test_clips_and_clips_of_the_same_videos_are_counted_apart():
    clips = ["a_000010", "a_000090", "b_000090", "c_000010"]
    with pytest.raises(DataError) as caught:
        refuse_overlap(clips, KEPT, where="mine.txt")
    assert str(caught.value).startswith(
        "mine.txt: 3 of 4 training clips belong to vggss (1 themselves, 2 by their video): "
        "a_000010, a_000090, b_000090. "
    )


def test_a_clip_without_a_start_second_stands_for_its_whole_video():
    with pytest.raises(DataError, match="0 themselves, 1 by their video"):
        refuse_overlap(["b"], KEPT, where="mine.txt")


def test_a_list_is_read_as_training_lists_are(tmp_path: Path):
    path = tmp_path / "test.csv"
    path.write_text("zYf0pcZ5q3M,30,dog barking,test\n")
    found = read_held_out(str(path))
    assert found.clips == {"zYf0pcZ5q3M_000030"}
    assert found.videos == {"zYf0pcZ5q3M"}


def test_a_protocol_stands_for_its_test_set():
    assert "two-source-000001" in read_held_out("synth@synth:two-source").clips


def test_what_is_neither_is_refused():
    with pytest.raises(SslBenchError, match="nothing-like-it"):
        read_held_out("nothing-like-it")
