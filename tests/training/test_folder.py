"""A user's folder: clips are found, looked at, held out by video, and read lazily."""

from __future__ import annotations

import csv
import gzip
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_videos import Made, make_video
from PIL import Image
from refusals import refused

from ssl_bench.errors import DataError
from ssl_bench.media.image import read_image
from ssl_bench.media.names import ClipNames, video_of
from ssl_bench.media.video_input import VideoInput
from ssl_bench.models.sounds import LogMelAudio, prepare_sound
from ssl_bench.training.data import Needs
from ssl_bench.training.folder import (
    HeldOut,
    held_out_of,
    hold_out,
    open_user_folder,
    overlap,
    read_held_out,
    refuse_overlap,
)
from ssl_bench.training.given_truth import open_truth
from ssl_bench.training.recipe import TrainingRecipe

FRONT_END = partial(prepare_sound, preprocessing=LogMelAudio(rate=16000, window=128, hop=64))
CLIPS = [f"video{number}_000010" for number in range(12)]
SUPERVISED = Needs(sounds=False, truth=True)
LABELLED = Needs(sounds=False, labels=True)
RECIPE = TrainingRecipe(objective="ez-vsl", epochs=1, batch=2, peak_learning_rate=0.1)


@pytest.fixture
def folder(tmp_path, write_media) -> Path:
    write_media(tmp_path / "mine", CLIPS)
    return tmp_path / "mine"


def test_every_clip_with_an_image_and_a_sound_is_found(folder):
    found = open_user_folder(folder)
    assert [clip.id for clip in found.clips] == sorted(CLIPS)
    assert (found.left_out, found.name, found.version) == (0, "mine", None)


def test_a_heading_is_no_clip(folder, tmp_path):
    (tmp_path / "list.csv").write_text(f"id,label\n{CLIPS[4]},dog barking\n")
    (clip,) = open_user_folder(folder, ids=tmp_path / "list.csv").clips
    assert clip.id == CLIPS[4]


@pytest.mark.parametrize("packed", [False, True])
def test_a_list_says_which_clips_in_its_order(folder, tmp_path, packed):
    text = f"{CLIPS[4]},dog barking\n{CLIPS[1]}.mp4,cat\n"
    path = tmp_path / ("list.csv.gz" if packed else "list.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert [clip.id for clip in open_user_folder(folder, ids=path).clips] == [CLIPS[4], CLIPS[1]]


def test_a_malformed_list_is_refused(folder, tmp_path):
    (tmp_path / "list.txt").write_text("../../etc/passwd\n")
    with refused("E_LIST_FORM", where=tmp_path / "list.txt"):
        open_user_folder(folder, ids=tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("video99_000010\n")
    with refused("E_CLIPS_NONE", where="'video99_000010'"):
        open_user_folder(folder, ids=tmp_path / "list.txt")


def test_rows_marked_as_test_clips_are_left_out_and_said(folder, tmp_path):
    lines = [f"{clip},dog,{'test' if n < 5 else 'train'}\n" for n, clip in enumerate(CLIPS)]
    (tmp_path / "list.csv").write_text("".join(lines))
    found = open_user_folder(folder, ids=tmp_path / "list.csv")
    assert [clip.id for clip in found.clips] == CLIPS[5:]
    assert "5 rows marked as test clips" in found.notes[0]


SPELLINGS = {
    "unpadded": "{video}_{start}",
    "milliseconds": "{video}_{start}000_{end}000",
    "start and end": "{video}_{start:06d}_{end:06d}",
    "Y": "Y{video}_{start:06d}",
    "ending": "{video}_{start:06d}.mp4",
    "capitals": "{video}_{start:06d}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_images_sounds_lists_and_test_sets_may_spell_clips_in_different_ways(
    spelling, tmp_path, write_media
):
    videos = [f"{'abcdefghij'[n] * 10}A" for n in range(6)]
    clips = [f"{video}_000{start:03d}" for video in videos for start in (32, 150)]
    write_media(tmp_path, clips)
    form = SPELLINGS[spelling]
    spelled = [form.format(video=c[:11], start=int(c[12:]), end=int(c[12:]) + 10) for c in clips]
    for clip, name in zip(clips, spelled, strict=True):
        ending = ".PNG" if spelling == "capitals" else ".png"
        (tmp_path / "frames" / f"{clip}.png").rename(tmp_path / "frames" / f"{name}{ending}")
    (tmp_path / "list.txt").write_text("".join(f"{clip}.wav\n" for clip in clips))
    found = open_user_folder(tmp_path, ids=tmp_path / "list.txt")
    assert len(found.clips) == 12
    kept = HeldOut("vggss", ClipNames({clip: clip[:11] for clip in clips[:5]}))
    names = [clip.id for clip in found.clips]
    assert tuple(map(len, overlap(names, kept))) == (5, 1)
    held_out = hold_out(names, 4, seed=0)
    assert len(held_out) == 4
    assert len({video_of(name) for name in held_out}) == 2


def test_what_two_files_may_be_is_named(folder):
    shutil.copy(folder / "frames" / f"{CLIPS[0]}.png", folder / "frames" / f"{CLIPS[0]}.PNG")
    with refused("E_CLIPS_UNUSABLE", where=f"{CLIPS[0]}.PNG"):
        open_user_folder(folder)


def test_clips_whose_names_cannot_be_compared_are_not_called_clean(folder):
    kept = HeldOut("vggss", ClipNames({"zYf0pcZ5q3M_000030": "zYf0pcZ5q3M"}))
    with refused("E_LIST_FORM", where=folder):
        open_user_folder(folder, held_out=[kept])


def test_of_a_folder_of_frames_the_middle_one_is_taken(folder):
    (folder / "frames" / f"{CLIPS[0]}.png").unlink()
    frames = folder / "frames" / CLIPS[0]
    frames.mkdir()
    for number in range(5):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(frames / f"{number:03d}.png")
    clip = open_user_folder(folder).clips[0]
    assert clip.id == CLIPS[0]
    assert read_image(clip.image)[0, 0, 0] == 2


def broken(folder: Path) -> None:
    (folder / "frames" / f"{CLIPS[2]}.png").unlink()
    (folder / "audio" / f"{CLIPS[5]}.wav").unlink()
    (folder / "audio" / f"{CLIPS[7]}.wav").write_bytes(b"no sound at all")
    (folder / "frames" / f"{CLIPS[8]}.png").write_bytes(b"")


def test_all_missing_and_unusable_files_are_named_at_once(folder):
    broken(folder)
    with refused("E_CLIPS_UNUSABLE", where=folder) as caught:
        open_user_folder(folder)
    text = str(caught.value)
    assert "4 of 12 clips" in text
    assert text.splitlines()[1].startswith("  - ")
    for number, kind in ((2, "image"), (5, "sound")):
        assert f"  - {CLIPS[number]} ({kind}): there is no file" in text
    for name, file in ((CLIPS[7], "audio"), (CLIPS[8], "frames")):
        assert f"{name} ({folder / file / name}" in text
    assert "--skip-missing" in text


def test_a_long_report_is_cut_and_says_how_many_more(tmp_path, write_media):
    write_media(tmp_path, [f"clip{number:03d}" for number in range(60)])
    for path in (tmp_path / "audio").iterdir():
        path.unlink()
    with refused("E_CLIPS_UNUSABLE", where="60 of 60 clips") as caught:
        open_user_folder(tmp_path)
    assert str(caught.value).count("E_FILE_MISSING") == 50
    assert "and 10 more" in str(caught.value)


def test_clips_may_be_left_out_and_are_counted(folder):
    broken(folder)
    found = open_user_folder(folder, skip_missing=True)
    assert found.left_out == 4
    assert {clip.id for clip in found.clips} == set(CLIPS) - {CLIPS[n] for n in (2, 5, 7, 8)}


@pytest.mark.parametrize("skip_missing", [False, True])
def test_what_opens_but_cannot_be_decoded_is_found_before_training(folder, tmp_path, skip_missing):
    sound = np.full((1600, 1), np.nan, np.float32)
    soundfile.write(folder / "audio" / f"{CLIPS[1]}.wav", sound, 16000, subtype="FLOAT")
    soundfile.write(folder / "audio" / f"{CLIPS[3]}.wav", np.ones(1600, np.int16), 44100)

    def takes(heard):
        if heard.rate != 16000:
            raise DataError("wrong rate", code="E_SOUND_RATE")

    report = tmp_path / "problems.csv"
    if skip_missing:
        found = open_user_folder(folder, skip_missing=True, takes=takes, report=report)
        assert found.left_out == 2
        assert {clip.id for clip in found.clips} == set(CLIPS) - {CLIPS[1], CLIPS[3]}
    else:
        with refused("E_CLIPS_UNUSABLE", "E_NOT_FINITE", "E_SOUND_RATE", where=CLIPS[3]):
            open_user_folder(folder, takes=takes, report=report)
    with report.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["level"] == "problem"]
    assert [(row["id"], row["code"]) for row in rows] == [
        (CLIPS[1], "E_NOT_FINITE"),
        (CLIPS[3], "E_SOUND_RATE"),
    ]


def test_a_folder_without_clips_is_refused(tmp_path):
    with refused("E_FOLDER_UNREADABLE", where=tmp_path / "frames"):
        open_user_folder(tmp_path)
    for name in ("frames", "audio"):
        (tmp_path / name).mkdir()
    with refused("E_CLIPS_NONE", where=tmp_path):
        open_user_folder(tmp_path)


def test_clips_of_a_test_set_are_refused_before_files_are_looked_at(folder):
    broken(folder)
    kept = HeldOut("vggss", ClipNames({CLIPS[3]: "video3"}))
    with refused("E_CLIPS_HELD_OUT", where=folder) as caught:
        open_user_folder(folder, held_out=[kept])
    assert CLIPS[3] in str(caught.value)


def test_validation_clips_are_held_out_by_seed(folder):
    data = open_user_folder(folder)

    def split(seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        training, validation = data.sources(Needs(), RECIPE, seed, FRONT_END)
        return training.ids, validation.ids

    training, validation = split(0)
    assert len(validation) == 2
    assert sorted((*training, *validation)) == sorted(CLIPS)
    assert split(0) == (training, validation)
    assert len({split(seed)[1] for seed in range(8)}) > 2


def test_so_many_clips_are_used_as_the_recipe_asks_for(folder):
    data = open_user_folder(folder)

    def chosen(count: int | None, seed: int = 0) -> tuple[str, ...]:
        recipe = RECIPE.model_copy(update={"scenes": count})
        return data.sources(Needs(), recipe, seed, FRONT_END)[0].ids

    everything, some, more = chosen(None), chosen(4), chosen(7)
    assert len(some) == 4
    assert set(some) < set(more) < set(everything)
    assert list(some) == [clip for clip in everything if clip in some]
    assert len({chosen(4, seed) for seed in range(8)}) > 2
    with refused("E_CLIPS_FEW", where=folder):
        chosen(11)


def test_clips_of_one_video_stay_together():
    clips = [f"{video}_{start:06d}" for video in "abcdefgh" for start in (0, 10, 20)]
    for seed in range(5):
        held_out = hold_out(clips, 4, seed)
        assert len(held_out) == 6
        assert len({clip[0] for clip in held_out}) == 2


def test_a_folder_of_one_video_cannot_be_held_out(tmp_path, write_media):
    write_media(tmp_path, ["a_000010", "a_000020"])
    with refused("E_VIDEOS_FEW", where=tmp_path):
        open_user_folder(tmp_path).sources(Needs(), RECIPE, 0, FRONT_END)


def test_what_a_folder_does_not_have_is_refused(folder):
    data = open_user_folder(folder)
    with refused("E_TRUTH_MISSING", where=folder):
        data.sources(SUPERVISED, RECIPE, 0)
    with refused("E_LABELS_MISSING", where=folder):
        data.sources(LABELLED, RECIPE, 0)


def marked(path: Path, clips: list[str]) -> Path:
    lines = "".join(f"{clip},0,0,0.5,1\n" for clip in clips)
    path.write_text(f"id,x0,y0,x1,y1\n{lines}")
    return path


def labelled(path: Path, labels: dict[str, str]) -> Path:
    path.write_text("".join(f'{clip},"{label}"\n' for clip, label in labels.items()))
    return path


def test_a_model_that_never_hears_needs_no_sounds(folder, tmp_path):
    shutil.rmtree(folder / "audio")
    truth = open_truth(marked(tmp_path / "boxes.csv", CLIPS))
    data = open_user_folder(folder, needs=SUPERVISED, truth=truth)
    training, validation = data.sources(SUPERVISED, RECIPE, 0, FRONT_END)
    assert training.has_truth
    assert validation.has_truth
    assert training.truth(0)[:, [0, 111, 112, 223]].mean(axis=0).tolist() == [1, 1, 0, 0]
    with refused("E_SOUND_UNREAD", where=training.ids[0]):
        training.sound(0)


def test_truth_that_is_not_asked_for_is_not_handed_on(folder, tmp_path):
    truth = open_truth(marked(tmp_path / "boxes.csv", CLIPS))
    data = open_user_folder(folder, truth=truth)
    training, _ = data.sources(Needs(), RECIPE, 0, FRONT_END)
    assert not training.has_truth


def test_clips_without_usable_truth_are_named_or_left_out(folder, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    for clip in CLIPS[2:]:
        Image.new("L", (4, 4), 255).save(masks / f"{clip}.png")
    (masks / f"{CLIPS[5]}.png").write_bytes(b"no image")
    truth = open_truth(masks)
    with refused("E_CLIPS_UNUSABLE", where="3 of 12 clips") as caught:
        open_user_folder(folder, needs=SUPERVISED, truth=truth)
    for clip in (CLIPS[0], CLIPS[1], CLIPS[5]):
        assert f"{clip} (truth): {masks}" in str(caught.value)
    found = open_user_folder(folder, needs=SUPERVISED, truth=truth, skip_missing=True)
    assert (len(found.clips), found.left_out) == (9, 3)


def test_truth_and_labels_are_part_of_what_was_read(folder, tmp_path):
    digests = set()
    for clips in (CLIPS, CLIPS[:1] + CLIPS):
        truth = open_truth(marked(tmp_path / "boxes.csv", clips))
        data = open_user_folder(folder, needs=SUPERVISED, truth=truth)
        digests.add(data.sources(SUPERVISED, RECIPE, 0, FRONT_END)[0].digest)
    for odd in (0, 1):
        names = {clip: str(number % 2 == odd) for number, clip in enumerate(CLIPS)}
        ids = labelled(tmp_path / "ids.csv", names)
        data = open_user_folder(folder, needs=LABELLED, ids=ids)
        digests.add(data.sources(LABELLED, RECIPE, 0)[0].digest)
    assert len(digests) == 4


def test_classes_are_the_labels_in_order_and_held_out_as_scenes_are(folder, tmp_path):
    names = {clip: ("dog", "cat, large", "bird")[n % 3] for n, clip in enumerate(CLIPS)}
    data = open_user_folder(folder, needs=LABELLED, ids=labelled(tmp_path / "ids.csv", names))
    assert data.classes == ("bird", "cat, large", "dog")
    training, validation = data.sources(LABELLED, RECIPE, 3)
    for part in (training, validation):
        assert [data.classes[label] for label in part.categories] == [names[i] for i in part.ids]
    scenes, _ = data.sources(Needs(sounds=False), RECIPE, 3)
    assert training.ids == scenes.ids
    assert training.image(0).shape == (30, 40, 3)


def test_one_class_alone_cannot_be_learned(folder, tmp_path):
    ids = labelled(tmp_path / "ids.csv", dict.fromkeys(CLIPS, "dog"))
    with refused("E_CLASSES_FEW", where="'dog'"):
        open_user_folder(folder, needs=LABELLED, ids=ids).sources(LABELLED, RECIPE, 0)


def test_clips_without_a_label_are_named(folder, tmp_path):
    (tmp_path / "ids.csv").write_text("".join(f"{clip}\n" for clip in CLIPS))
    with refused("E_CLIPS_UNUSABLE", where="12 of 12 clips") as caught:
        open_user_folder(folder, needs=LABELLED, ids=tmp_path / "ids.csv")
    assert f"{CLIPS[3]} (label): " in str(caught.value)


def test_what_was_checked_for_clips_of_test_sets_is_kept(folder):
    kept = HeldOut("vggss", ClipNames({"other_000010": "other"}))
    assert open_user_folder(folder, held_out=[kept]).checked_against == ("vggss",)
    assert open_user_folder(folder).checked_against == ()


KEPT = HeldOut("vggss", ClipNames({"a_000010": "a", "b_000010": "b"}))


def test_clips_of_other_videos_are_fine():
    refuse_overlap(["c_000010", "d_000010"], KEPT, where="mine.txt")


def test_clips_and_clips_of_the_same_videos_are_counted_apart():
    clips = ["a_000010", "a_000090", "b_000090", "c_000010"]
    assert overlap(clips, KEPT) == (["a_000010"], ["a_000090", "b_000090"])
    with refused("E_CLIPS_HELD_OUT", where="mine.txt") as caught:
        refuse_overlap(clips, KEPT, where="mine.txt")
    assert "'a_000010', 'a_000090', 'b_000090'. Take" in str(caught.value)


def test_a_clip_without_a_start_second_stands_for_its_whole_video():
    assert overlap(["b"], KEPT) == ([], ["b"])


def test_a_list_is_read_as_training_lists_are(tmp_path: Path):
    path = tmp_path / "test.csv"
    for lines in ("zYf0pcZ5q3M,30,dog,test\n---g-f_I2yQ,1,dog,train\n", "zYf0pcZ5q3M,30,dog\n"):
        path.write_text(lines)
        found = held_out_of(read_held_out(str(path)), ClipNames())
        assert "zYf0pcZ5q3M_000030" in found.clips
        assert found.clips.videos == {"zYf0pcZ5q3M"}


def test_a_list_of_test_clips_is_read_by_the_names_of_the_training_clips(folder, tmp_path):
    path = tmp_path / "test.txt"
    path.write_text(f"{CLIPS[3]}.mp4\nexcerpt of video4\n")
    with refused("E_LIST_FORM", where=path):
        open_user_folder(folder, held_out=[read_held_out(str(path))])
    many = "".join(f"other{number}_000010\n" for number in range(200))
    path.write_text(f"{CLIPS[3]}.mp4\nexcerpt of video4\n{many}")
    found = open_user_folder(folder, held_out=[read_held_out(str(path))], skip_held_out=True)
    assert (found.held_out, found.checked_against) == (1, (str(path),))
    assert any("1 of 202" in note and "excerpt of" in note for note in found.notes)


def test_without_the_folder_of_a_test_set_the_remedy_does_not_name_the_training_data(monkeypatch):
    monkeypatch.delenv("SSL_BENCH_DATA", raising=False)
    with refused("E_DATA_FOLDER", where="SSL_BENCH_DATA") as caught:
        read_held_out("vggss")
    assert "give --data" not in str(caught.value).lower()


@pytest.mark.slow
def test_a_protocol_stands_for_its_test_set():
    held_out = read_held_out("synth@synth:two-source")
    assert isinstance(held_out, HeldOut)
    assert "two-source-000001" in held_out.clips


def test_what_is_neither_is_refused():
    with refused(where="nothing-like-it"):
        read_held_out("nothing-like-it")


FRAMES_TOO = Needs(video=VideoInput(frames=3, rate=25))


def test_videos_are_taken_where_they_are_needed(folder):
    (folder / "videos").mkdir()
    for name in CLIPS:
        make_video(folder / "videos" / f"{name}.mp4", Made(count=5, layout=""))
    assert {clip.video for clip in open_user_folder(folder).clips} == {None}
    found = open_user_folder(folder, needs=FRAMES_TOO)
    assert [clip.video.stem for clip in found.clips if clip.video] == sorted(CLIPS)
    training, validation = found.sources(FRAMES_TOO, RECIPE, 0, FRONT_END)
    assert training.frames(0).shape == validation.frames(0).shape == (3, 30, 40, 3)
    (folder / "videos" / f"{CLIPS[2]}.mp4").unlink()
    with refused("E_CLIPS_UNUSABLE", where="1 of 12 clips lack a usable image, sound or video"):
        open_user_folder(folder, needs=FRAMES_TOO)


def test_a_folder_without_videos_is_refused_where_they_are_needed(folder):
    with refused("E_NO_VIDEO", where="videos", kind=DataError):
        open_user_folder(folder, needs=FRAMES_TOO)
