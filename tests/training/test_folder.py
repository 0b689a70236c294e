"""A user's folder: clips are found, looked at, held out by video, and read lazily."""

from __future__ import annotations

import gzip
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from ssl_bench.errors import AnnotationError, DataError
from ssl_bench.media.image import read_image
from ssl_bench.models.sounds import LogMelAudio, prepare_sound
from ssl_bench.training.clips import Clip, FolderScenes
from ssl_bench.training.folder import hold_out, open_user_folder
from ssl_bench.training.held_out import HeldOut
from ssl_bench.training.recipe import TrainingRecipe

FRONT_END = partial(prepare_sound, preprocessing=LogMelAudio(rate=16000, window=128, hop=64))
CLIPS = [f"video{number}_000010" for number in range(12)]
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
    with pytest.raises(AnnotationError, match="line 1"):
        open_user_folder(folder, ids=tmp_path / "list.txt")


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
    with pytest.raises(DataError) as caught:
        open_user_folder(folder)
    text = str(caught.value)
    assert "4 of 12 clips lack a usable image or sound. Add the files, " in text
    assert text.splitlines()[1].startswith("  - ")
    assert f"{CLIPS[2]}: no image\n" in text
    assert f"{CLIPS[5]}: no sound\n" in text
    for name, file in ((CLIPS[7], "audio"), (CLIPS[8], "frames")):
        assert f"{name}: {folder / file / name}" in text
    assert "--skip-missing" in text


def test_a_long_report_is_cut_and_says_how_many_more(tmp_path, write_media):
    write_media(tmp_path, [f"clip{number:03d}" for number in range(60)])
    for path in (tmp_path / "audio").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="60 of 60 clips") as caught:
        open_user_folder(tmp_path)
    assert str(caught.value).count("no sound") == 50
    assert "and 10 more" in str(caught.value)


def test_clips_may_be_left_out_and_are_counted(folder):
    broken(folder)
    found = open_user_folder(folder, skip_missing=True)
    assert found.left_out == 4
    assert {clip.id for clip in found.clips} == set(CLIPS) - {CLIPS[n] for n in (2, 5, 7, 8)}


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        open_user_folder(tmp_path)
    for name in ("frames", "audio"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="no clip here"):
        open_user_folder(tmp_path)


def test_clips_of_a_test_set_are_refused_before_files_are_looked_at(folder):
    broken(folder)
    kept = HeldOut("vggss", frozenset({CLIPS[3]}), frozenset({"video3"}))
    with pytest.raises(DataError, match=rf"1 of 12 training clips belongs to vggss .*{CLIPS[3]}"):
        open_user_folder(folder, held_out=[kept])


def test_validation_clips_are_held_out_by_seed(folder):
    data = open_user_folder(folder)

    def split(seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        training, validation = data.scenes(RECIPE, seed, FRONT_END, None, truth=False)
        return training.ids, validation.ids

    training, validation = split(0)
    assert len(validation) == 2
    assert sorted((*training, *validation)) == sorted(CLIPS)
    assert split(0) == (training, validation)
    assert len({split(seed)[1] for seed in range(8)}) > 2


def test_clips_of_one_video_stay_together():
    clips = [f"{video}_{start:06d}" for video in "abcdefgh" for start in (0, 10, 20)]
    for seed in range(5):
        held_out = hold_out(clips, 4, seed)
        assert len(held_out) == 6
        assert len({clip[0] for clip in held_out}) == 2


def test_a_folder_of_one_video_cannot_be_held_out(tmp_path, write_media):
    write_media(tmp_path, ["a_000010", "a_000020"])
    with pytest.raises(DataError, match="all clips are of one video"):
        open_user_folder(tmp_path).scenes(RECIPE, 0, FRONT_END, None, truth=False)


def test_what_a_folder_does_not_have_is_refused(folder):
    data = open_user_folder(folder)
    with pytest.raises(DataError, match=r"marked where they sound.*--truth"):
        data.scenes(RECIPE, 0, FRONT_END, None, truth=True)
    with pytest.raises(DataError, match=r"labelled images.*--ids"):
        data.objects(RECIPE, 0, None)


def scenes(folder: Path) -> FolderScenes:
    return FolderScenes(open_user_folder(folder).clips, FRONT_END)


def test_files_are_read_when_they_are_asked_for(folder):
    found = pickle.loads(pickle.dumps(scenes(folder)))
    assert np.array_equal(found.image(1), read_image(found.clips[1].image))
    assert found.sound(1).shape[:2] == (1, 64)
    assert found.categories.tolist() == [-1] * 12
    found.clips[1].image.unlink()
    with pytest.raises(DataError, match=found.clips[1].id):
        found.image(1)


def test_a_shifted_clip_is_rolled_as_a_whole(tmp_path):
    samples = np.arange(400, dtype=np.int16)[:, None]
    soundfile.write(tmp_path / "clip.wav", samples, 16000)
    clip = Clip("clip", tmp_path / "clip.png", tmp_path / "clip.wav")
    heard = FolderScenes((clip,), lambda sound: sound.samples[None].astype(np.float32))
    assert np.array_equal(heard.sound(0, 0.25)[0, :, 0], np.roll(np.arange(400), 100))
    assert np.array_equal(heard.sound(0)[0, :, 0], np.arange(400))


def test_a_sound_that_the_model_cannot_take_is_named_with_its_file(folder):
    wrong = FolderScenes(scenes(folder).clips, partial(prepare_sound, preprocessing=LogMelAudio()))
    with pytest.raises(DataError, match=r"\.wav: a sound has 16000 Hz"):
        wrong.sound(0)


def test_digest_tells_which_files_were_read(folder):
    first = scenes(folder).digest
    assert first == scenes(folder).digest
    Image.new("RGB", (64, 64)).save(folder / "frames" / f"{CLIPS[0]}.png")
    assert first != scenes(folder).digest
