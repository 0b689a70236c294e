"""What names of clips say."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from spellings import ONLY_KNOWN, SPELLINGS

from ssl_bench.media.audio import AUDIO_SUFFIXES
from ssl_bench.media.image import IMAGE_SUFFIXES
from ssl_bench.media.names import (
    ENDINGS,
    ClipNames,
    bare,
    clip_names,
    in_order,
    read_names,
    video_of,
)

letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The last character of a real one stands for four bits, the others for six.
videos = st.builds(
    str.__add__,
    st.text(letters, min_size=10, max_size=10),
    st.sampled_from("AEIMQUYcgkosw048"),
).filter(lambda video: not video.isdecimal())
starts = st.integers(0, 36_000)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(videos, starts, min_size=2, max_size=8))
def test_reading_is_the_inverse_of_spelling(clips: dict[str, int]) -> None:
    assume(len({video.lower() for video in clips}) == len(clips))
    (stranger, its_start), *known = clips.items()
    names = ClipNames({f"{video}_{start:06d}": video for video, start in known})
    for spelling in SPELLINGS.values():
        for video, start in known:
            assert names.read(spelling(video, start)) == (f"{video}_{start:06d}", video)
            assert names.read(spelling(video, start + 7)).video == video  # type: ignore[union-attr]
        other = names.read(spelling(stranger, its_start))
        assert other is None or other.video not in names.videos


@settings(deadline=None, max_examples=100)
@given(video=videos, start=starts)
def test_a_video_is_found_without_knowing_any(video: str, start: int) -> None:
    for name in SPELLINGS.keys() - ONLY_KNOWN:
        assert video_of(SPELLINGS[name](video, start)) == video, name


@pytest.mark.parametrize("known", [{}, {"zYf0pcZ5q3M_000030": "zYf0pcZ5q3M"}])
def test_urls_are_read_with_and_without_their_start(known: dict[str, str]) -> None:
    names = ClipNames(known)
    for place in ("youtu.be/zYf0pcZ5q3M?t=", "www.youtube.com/watch?v=zYf0pcZ5q3M&t="):
        assert names.read(f"https://{place}30s") == ("zYf0pcZ5q3M_000030", "zYf0pcZ5q3M")
        for end in ("", "?si=1a", "&list=b2"):
            url = f"https://{place[:-3]}{end}"
            assert names.read(url) == ("zYf0pcZ5q3M", "zYf0pcZ5q3M")


@pytest.mark.parametrize(
    ("text", "start"), [("0:30", 30), ("00:01:30.500", 90), ("1:00:05", 3605), ("12:30:1", 12)]
)
def test_minutes_and_seconds_are_read(text: str, start: int) -> None:
    names = ClipNames({f"zYf0pcZ5q3M_{start:06d}": "zYf0pcZ5q3M"})
    clip = names.read(f"zYf0pcZ5q3M_{text}")
    assert clip is not None
    assert clip.id.startswith(f"zYf0pcZ5q3M_{start:06d}")


@pytest.mark.parametrize(
    ("known", "text", "expected"),
    [
        # Eleven characters that hold what may stand around them.
        ("Ybd5lEnpT_8", "Ybd5lEnpT_8_30", "Ybd5lEnpT_8_000030"),
        ("YBd5lEnpT_8", "YYBd5lEnpT_8_30", "YBd5lEnpT_8_000030"),
        ("0T966F0_098", "0T966F0_098_30_40", "0T966F0_098_000030"),
        ("-_123_45678", "dog_-_123_45678_30000_40000", "-_123_45678_000030"),
        ("000000_0030", "000000_0030_000030_000040", "000000_0030_000030"),
    ],
)
def test_what_is_ambiguous_is_decided_by_the_known_videos(
    known: str, text: str, expected: str
) -> None:
    clip = ClipNames({f"{known}_000030": known}).read(text)
    assert clip is not None
    assert clip.id == expected


def test_of_two_readings_a_known_clip_comes_first() -> None:
    video = "zYf0pcZ5q3M"
    both = ClipNames({f"{video}_000030": video, f"{video}_030000": video})
    one = ClipNames({f"{video}_000030": video})
    for names, expected in ((both, f"{video}_030000"), (one, f"{video}_000030")):
        clip = names.read(f"{video}_030000")
        assert clip is not None
        assert clip.id == expected


@pytest.mark.parametrize("text", ["zYf0pcZ5q3M.30.40", "zYf0pcZ5q3M.30.40.wav"])
def test_full_stops_may_stand_between_start_and_end(text: str) -> None:
    video = "zYf0pcZ5q3M"
    whole, exact = f"{video}_000030", f"{video}_000030.400"
    assert ClipNames({whole: video}).read(text) == (whole, video)
    assert ClipNames({whole: video, exact: video}).read(text) == (exact, video)
    assert ClipNames({whole: video}).read(f"{video}_30.40") == (exact, video)


class TestNumbers:
    names = ClipNames({name: name for name in ("10000130166", "3908875350")})

    @pytest.mark.parametrize(
        "text",
        [
            "10000130166",
            "10000130166.png",
            "/hdd/dataset/10000130166.mp4/frame1.jpg".rpartition("/")[0],
            "10000130166.0",
            "flickr_10000130166",
            "10000130166_3b1c0d_o.mp4",
            "10000130166_000010",
        ],
    )
    def test_a_known_number_is_found(self, text: str) -> None:
        assert self.names.read(text) == ("10000130166", "10000130166")

    def test_another_number_is_another_clip(self) -> None:
        assert self.names.read("10000130167.jpg") == ("10000130167", "10000130167")

    @pytest.mark.parametrize("text", ["zYf0pcZ5q3M_000030", "12", "dog"])
    def test_what_holds_no_such_number_is_not_understood(self, text: str) -> None:
        assert self.names.read(text) is None


class TestOtherNames:
    def test_an_id_with_six_digits_is_not_cut(self) -> None:
        names = ClipNames({"489267_157452": "489267_157452"})
        assert names.read("489267_157452.jpg") == ("489267_157452", "489267_157452")
        assert names.read("489267_159191") == ("489267_159191", "489267")
        assert "489267" not in names.videos

    def test_both_forms_of_unicode_are_one(self) -> None:
        name = "caf\u00e9_000010"
        for form in ("NFC", "NFD"):
            known = ClipNames({unicodedata.normalize(form, name): "café"})
            assert known.read(unicodedata.normalize("NFC", name)) is not None
            assert known.read(unicodedata.normalize("NFD", name)).video == "café"  # type: ignore[union-attr]

    @pytest.mark.parametrize("text", ["", " ", "\x1b[2J", "a b", "../../etc/passwd", "x" * 600])
    def test_what_is_no_name_is_not_understood(self, text: str) -> None:
        assert ClipNames({"party": "party"}).read(text) is None

    def test_ids_with_an_ending_stay_apart_from_those_without(self) -> None:
        names = ClipNames({"a.wav": "a.wav", "a": "a"})
        assert [names.read(text).id for text in ("a.wav", "a", "a.mp4")] == ["a.wav", "a", "a"]  # type: ignore[union-attr]


def test_words_are_no_videos() -> None:
    names = ClipNames({"zYf0pcZ5q3M_000030": "zYf0pcZ5q3M"})
    texts = ["holiday", "10000130166", "playing_the_guitar", "id", "accordion_female_10438"]
    assert read_names(texts, names).not_understood == tuple(texts)


def test_own_names_are_kept_and_found_by_other_spellings() -> None:
    own = clip_names(["zYf0pcZ5q3M_30", "---g-f_I2yQ_5000_15000", "party_1", "party_2"])
    for text, expected in (
        ("zYf0pcZ5q3M_000030.mp4", "zYf0pcZ5q3M_30"),
        ("---g-f_I2yQ_5", "---g-f_I2yQ_5000_15000"),
        ("party_2.wav", "party_2"),
    ):
        clip = own.read(text)
        assert clip is not None
        assert clip.id == expected


def test_every_media_file_may_be_named() -> None:
    assert {suffix[1:] for suffix in (*AUDIO_SUFFIXES, *IMAGE_SUFFIXES)} <= ENDINGS
    assert bare("clip.tar.jpg") == "clip.tar"


def test_frames_are_in_the_order_of_their_numbers() -> None:
    names = [f"{number}" for number in range(1, 251)]
    assert sorted(sorted(names), key=in_order) == names
    assert sorted(["f0.12", "f0.04", "f1.0"], key=in_order) == ["f0.04", "f0.12", "f1.0"]
