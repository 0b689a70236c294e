"""Pairs of an image and a sound that nothing in it makes: read strictly, or drawn by seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from standins import MemoryTestSet, sample

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.testsets import definition, open_test_set
from ssl_bench.testsets.base import UNLABELLED, Finding, Sample
from ssl_bench.testsets.silent import (
    off_screen_partners,
    read_silent_pairs,
    unannotated,
)

HEADER = "video,audio,label\n"
SAMPLES = [sample("a", category="dog"), sample("b", category="cat"), sample("c", category="dog")]


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "pairs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class TestReading:
    def test_pairs_keep_their_order_and_say_whether_their_clips_have_one_category(
        self, tmp_path: Path
    ) -> None:
        text = HEADER + "a,c,non-sounding\r\na,b,non-sounding\n\nz_1,z_1,non-sounding\n"
        pairs = read_silent_pairs(
            written(tmp_path, text),
            SAMPLES,
            remedy="",
            group_of=lambda clip: clip.partition("_")[0],
        )
        assert [(pair.image, pair.audio) for pair in pairs] == [
            ("a", "c"),
            ("a", "b"),
            ("z_1", "z_1"),
        ]
        assert [pair.same_category for pair in pairs] == [True, False, None]
        assert [pair.category for pair in pairs] == ["dog", "cat", UNLABELLED]
        assert pairs[2].group == "z"
        assert unannotated(pairs, {"a", "b", "c"}) == ["z_1"]

    def test_clips_without_categories_say_nothing_of_them(self, tmp_path: Path) -> None:
        unlabelled = [sample("a", category=UNLABELLED), sample("b", category=UNLABELLED)]
        path = written(tmp_path, HEADER + "a,b,non-sounding\n")
        assert read_silent_pairs(path, unlabelled, remedy="")[0].same_category is None

    @pytest.mark.parametrize(
        ("text", "code", "place"),
        [
            ("", "E_CSV_HEADER", "video,audio,label"),
            ("image,audio,label\na,b,non-sounding\n", "E_CSV_HEADER", "video,audio,label"),
            (HEADER, "E_FILE_EMPTY", ""),
            (HEADER + "a,b\n", "E_CSV_FIELDS", "line 2"),
            (HEADER + "a,b,non-sounding,x\n", "E_CSV_FIELDS", "line 2"),
            (HEADER + "a,b,sounding\n", "E_SCHEMA", "label"),
            (HEADER + "a,b,non-sounding\na,b,non-sounding\n", "E_ID_REPEATED", "a,b"),
            (HEADER + "../../etc/passwd,b,non-sounding\n", "E_ID", "video"),
            (HEADER + "a,,non-sounding\n", "E_ID", "audio"),
            (HEADER + "a," + "b" * 500 + ",non-sounding\n", "E_ID", "audio"),
            (HEADER + 'a,"b,non-sounding\n', "E_CSV", "line 2"),
            (HEADER + "a," + "b" * 200_000 + ",non-sounding\n", "E_CSV", "line 2"),
            (HEADER.encode("utf-16"), "E_ENCODING", ""),
            (HEADER.encode() + b"\xff\xfe,b,non-sounding\n", "E_ENCODING", ""),
        ],
    )
    def test_anything_else_is_refused_with_its_place(
        self, tmp_path: Path, text: str | bytes, code: str, place: str
    ) -> None:
        path = written(tmp_path, text)
        with refused(code, where=path) as caught:
            read_silent_pairs(path, SAMPLES, remedy="get the official file")
        assert place in str(caught.value)

    def test_every_bad_row_is_named_at_once(self, tmp_path: Path) -> None:
        path = written(tmp_path, HEADER + "a,b,loud\n.a,b,non-sounding\na,b,non-sounding\n")
        with pytest.raises(AnnotationError) as caught:
            read_silent_pairs(path, SAMPLES, remedy="")
        assert [problem.partition(" (")[0] for problem in caught.value.problems] == [
            "line 2",
            "line 3",
        ]

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with refused("E_FILE_MISSING", where="pairs.csv"):
            read_silent_pairs(tmp_path / "pairs.csv", SAMPLES, remedy="")

    @given(st.binary(max_size=200))
    def test_no_content_breaks_the_reader(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes
    ) -> None:
        path = written(tmp_path_factory.mktemp("fuzz"), HEADER.encode() + content)
        try:
            pairs = read_silent_pairs(path, SAMPLES, remedy="")
        except DataError:
            return
        assert pairs


class TestVggSs:
    """An invented VGG-SS folder whose list names a clip that is not annotated."""

    @pytest.fixture
    def folder(self, tmp_path: Path, write_media: Callable[[Path, list[str]], None]) -> Path:
        folder = tmp_path / "vggss"
        folder.mkdir()
        entries = [
            {"file": f"clip00000{name}_000001", "class": category, "bbox": [[0, 0, 0.5, 1]]}
            for name, category in (("a", "dog barking"), ("b", "playing harp"))
        ]
        (folder / "vggss.json").write_text(json.dumps(entries))
        lines = "clip00000a_000001,clip00000b_000001,non-sounding\nother_000003,other_000003,"
        (folder / "vggss_test_plus_silent.csv").write_text(f"{HEADER}{lines}non-sounding\n")
        clips = ["clip00000a_000001", "clip00000b_000001", "other_000003"]
        write_media(folder, clips)
        return folder

    def test_images_and_sounds_of_other_clips_are_read_by_id(self, folder: Path) -> None:
        test_set = open_test_set("vggss", data=folder.parent)
        with refused("E_SAMPLE_ID", where="other_000003"):
            test_set.image("other_000003")
        pairs = test_set.silent_pairs()
        assert [pair.group for pair in pairs] == ["clip00000a", "other"]
        assert test_set.image("other_000003").shape == (30, 40, 3)
        assert test_set.waveform("other_000003").rate == 16000
        with refused("E_SAMPLE_ID"):
            test_set.image("../vggss.json")

    def test_the_other_clips_are_verified_too(self, folder: Path) -> None:
        (folder / "audio" / "other_000003.wav").unlink()
        findings = definition("vggss").verify(folder)
        missing = [finding.item for finding in findings if finding.level == "missing"]
        assert missing == ["audio/other_000003"]

    def test_the_list_is_verified(self, folder: Path) -> None:
        def finding() -> Finding:
            name = "vggss_test_plus_silent.csv"
            (found,) = [each for each in definition("vggss").verify(folder) if each.item == name]
            return found

        assert finding().level == "ok"
        assert finding().message.startswith("2 pairs, 1 of their clips not annotated; ")
        (folder / "vggss_test_plus_silent.csv").write_text("x")
        assert finding().level == "corrupt"
        (folder / "vggss_test_plus_silent.csv").unlink()
        assert finding().level == "note"

    def test_opening_needs_no_list(self, folder: Path) -> None:
        (folder / "vggss_test_plus_silent.csv").unlink()
        test_set = open_test_set("vggss", data=folder.parent)
        assert len(test_set) == 2
        with refused("E_FILE_MISSING", where="vggss_test_plus_silent.csv"):
            test_set.silent_pairs()

    def test_the_layout_names_the_list(self) -> None:
        for name in ("vggss", "flickr"):
            assert f"{name}_test_plus_silent.csv" in definition(name).layout()


def test_other_test_sets_say_that_they_have_no_pairs() -> None:
    with refused("E_NO_SILENT_PAIRS"):
        MemoryTestSet(SAMPLES).silent_pairs()


def test_pairs_of_synth_are_silent_and_fixed_by_the_seed() -> None:
    first = open_test_set("synth", options={"count": 30})
    pairs = first.silent_pairs()
    assert [pair.image for pair in pairs] == [each.id for each in first.samples]
    for pair in pairs:
        assert not set(first[pair.image].categories) & set(first[pair.audio].categories)
        assert pair.same_category is False
    again = open_test_set("synth", options={"count": 30})
    assert again.silent_pairs() == pairs
    other = open_test_set("synth", options={"count": 30, "seed": 1})
    assert [pair.audio for pair in other.silent_pairs()] != [pair.audio for pair in pairs]


class TestPartners:
    @staticmethod
    def many(count: int) -> list[Sample]:
        return [
            sample(f"s{number}", category=f"k{number % 3}", group=f"g{number % 5}")
            for number in range(count)
        ]

    @given(st.integers(15, 40), st.integers(0, 20), st.permutations(range(15)))
    def test_partners_fit_whatever_the_order(self, count: int, seed: int, order: list[int]) -> None:
        samples = self.many(count)
        found = off_screen_partners(samples, seed=seed)
        for one, other in zip(samples, found, strict=True):
            assert one.group != other.group
            assert one.category != other.category
        some = samples[:15]
        named = {
            one.id: other.id
            for one, other in zip(some, off_screen_partners(some, seed=seed), strict=True)
        }
        turned = [some[number] for number in order]
        for one, other in zip(turned, off_screen_partners(turned, seed=seed), strict=True):
            assert named[one.id] == other.id

    def test_partners_stay_on_one_side(self) -> None:
        samples = self.many(30)
        sides = [number < 12 for number in range(30)]
        side = dict(zip([each.id for each in samples], sides, strict=True))
        for one, other in zip(
            samples, off_screen_partners(samples, seed=0, sides=sides), strict=True
        ):
            assert side[one.id] == side[other.id]

    def test_without_categories_another_group_is_enough(self) -> None:
        samples = [sample("a", category=UNLABELLED), sample("b", category=UNLABELLED)]
        assert [each.id for each in off_screen_partners(samples, seed=0)] == ["b", "a"]

    def test_silent_objects_in_the_picture_count(self) -> None:
        both = sample("a", category="dog", categories=("cat", "dog"))
        with refused("E_NO_PARTNER", where="'a'"):
            off_screen_partners([both, sample("b", category="cat")], seed=0)
