"""Overlap of training lists with test sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standins import sample

from ssl_bench.media.names import video_of
from ssl_bench.testsets.audit import audit
from ssl_bench.testsets.lists import ClipList, read_clip_list

SAMPLES = [
    sample("videoA_____000010", group="videoA____"),
    sample("videoA_____000050", group="videoA____"),
    sample("videoB_____000010", group="videoB____"),
    sample("videoC_____000010", group="videoC____"),
]
LISTS = Path(__file__).with_name("lists")
CLIPS = [
    line.split("_000")[0][1:] + "_000" + line.split("_000")[1]
    for line in (LISTS / "vggss-Y.txt").read_text().split()
]
VGGSS = [sample(clip, group=clip[:11]) for clip in CLIPS]


@pytest.mark.parametrize("path", sorted(LISTS.iterdir()), ids=lambda path: path.stem)
def test_a_list_of_the_test_set_in_another_spelling_is_found_whole(path: Path) -> None:
    found = audit(read_clip_list(path), VGGSS)
    assert len(found.clips) == 40
    assert (found.videos, found.clean, found.not_understood) == ((), (), ())


def test_a_listed_clip_and_another_clip_of_its_video() -> None:
    found = audit(ClipList(("videoA_____10", "videoX_____000000", "videoA_____000010")), SAMPLES)
    assert found.clips == ("videoA_____000010",)
    assert found.videos == ("videoA_____000050",)
    assert found.clean == ("videoB_____000010", "videoC_____000010")
    assert (found.listed, found.repeated, found.without_start) == (2, 1, 0)


def test_a_listed_video_without_start() -> None:
    found = audit(ClipList(("videoB____", "videoX_____000000")), SAMPLES)
    assert found.videos == ("videoB_____000010",)
    assert found.without_start == 1


def test_rows_marked_as_test_clips_do_not_count() -> None:
    found = audit(ClipList(("videoX_____000000",), tests=("videoA_____000010",)), SAMPLES)
    assert (found.clips, found.marked_test) == ((), 1)
    with refused("E_LIST_TEST_ONLY", where="the list"):
        audit(ClipList((), tests=("videoA_____000010",)), SAMPLES)


class TestForm:
    @pytest.mark.parametrize(
        "names",
        [
            ("10000130166", "10000422513"),
            ("dog/clip1.mp4", "cat/clip2.mp4"),
            ("a b", "\x1b[2J"),
            (*CLIPS, "clip1"),
        ],
    )
    def test_a_list_of_another_form_is_refused_instead_of_called_clean(
        self, names: tuple[str, ...]
    ) -> None:
        with refused("E_LIST_FORM", where="mine.txt"):
            audit(ClipList(names, path="mine.txt"), VGGSS)

    def test_a_few_lines_that_are_not_understood_are_counted(self) -> None:
        names = [f"{chr(97 + n % 26) * 10}{n % 10}_{n}" for n in range(300)]
        found = audit(ClipList((*names, "clip1", "\x1b[2J", *CLIPS[:2])), VGGSS)
        assert found.not_understood == ("clip1", "\x1b[2J")
        assert found.clips == tuple(CLIPS[:2])

    def test_plain_names_are_compared_as_they_are(self) -> None:
        samples = [sample(name, group=name) for name in ("party", "walk_000010")]
        found = audit(ClipList(("walk_000010.wav", "other")), samples)
        assert (found.clips, found.clean) == (("walk_000010",), ("party",))


@given(st.sets(st.sampled_from([each.id for each in SAMPLES]), min_size=1))
def test_the_three_parts_make_up_the_test_set(listed: set[str]) -> None:
    found = audit(ClipList(tuple(sorted(listed))), SAMPLES)
    assert set(found.clips) == listed
    parts = [*found.clips, *found.videos, *found.clean]
    assert sorted(parts) == sorted(each.id for each in SAMPLES)
    assert not {video_of(name) for name in found.clean} & {video_of(name) for name in listed}
