"""Sounds and images of a user's folder that cannot be used: one sentence that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import Call
from made_videos import Made, make_video
from PIL import Image

from ssl_bench.models.registry import list_ready_baselines, load_baseline

CLIPS = ["dogInTheYard_000010", "trainPasses_000030", "violinSolo_000100"]
BAD = CLIPS[1]
AUDIO_VISUAL = [
    name for name in list_ready_baselines() if load_baseline(name).card.modality == "audio-visual"
]


def _rate(name: str) -> int:
    return int(load_baseline(name).variant("synth").preprocessing["audio"]["rate"])


@pytest.fixture
def data(tmp_path: Path, write_media) -> Path:
    """A folder like that of VGG-SS, with three clips at the rate of the small models."""
    folder = tmp_path / "data" / "vggss"
    write_media(folder, CLIPS)
    for clip in CLIPS:
        samples = np.ones((9000, 1), np.int16)
        soundfile.write(folder / "audio" / f"{clip}.wav", samples, _rate("ezvsl"))
    (folder / "videos").mkdir()
    for clip in CLIPS:
        make_video(folder / "videos" / f"{clip}.mp4", Made(count=5))
    entries = [{"file": clip, "class": "dog", "bbox": [[0.1, 0.1, 0.6, 0.9]]} for clip in CLIPS]
    (folder / "vggss.json").write_text(json.dumps(entries))
    return folder.parent


def _sound(data: Path) -> Path:
    return data / "vggss" / "audio" / f"{BAD}.wav"


def _image(data: Path) -> Path:
    return data / "vggss" / "frames" / f"{BAD}.png"


def _refused(call: Call, name: str, data: Path, file: Path) -> str:
    """What is said of a file that ends an evaluation; no file is written."""
    out = data.parent / "run"
    words = ["evaluate", "--model", name, "--protocol", "vggss", "--data", data, "--out", out]
    done = call(*words, "--sheet", 0)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert list(out.glob("*")) == []
    said = done.err.replace("\n", "")
    assert str(file) in said
    return said


def test_clips_without_fault_are_evaluated(call: Call, data: Path) -> None:
    out = data.parent / "run"
    words = ["evaluate", "--model", "ezvsl", "--protocol", "vggss", "--data", data, "--out", out]
    assert call(*words, "--sheet", 0).code == 0


@pytest.mark.parametrize("name", AUDIO_VISUAL)
def test_a_sound_of_another_rate(call: Call, data: Path, name: str) -> None:
    soundfile.write(_sound(data), np.ones((9000, 1), np.int16), 8000)
    said = _refused(call, name, data, _sound(data))
    assert "8000 Hz" in said
    assert f"{BAD} (" in said


def test_all_of_them_are_named_or_left_out(call: Call, data: Path) -> None:
    soundfile.write(_sound(data), np.ones((9000, 1), np.int16), 8000)
    (data / "vggss" / "frames" / f"{CLIPS[0]}.png").unlink()
    said = _refused(call, "ezvsl", data, _sound(data))
    assert "[E_MEDIA, E_FILE_MISSING, E_SOUND_RATE]" in said
    assert f"{CLIPS[0]} (image)" in said
    out, report = data.parent / "run", data.parent / "problems.csv"
    words = ["--model", "ezvsl", "--protocol", "vggss", "--data", data, "--out", out, "--json"]
    done = call("predict", *words, "--skip-missing", "--problems", report)
    facts = json.loads(done.out)
    assert (done.code, facts["trials"], facts["left_out"]) == (0, 1, 2)
    assert report.read_text().count("problem,") == 2
    done = call("evaluate", *words, "--skip-missing", "--sheet", 2, "--overwrite")
    coverage = json.loads(done.out)["coverage"]
    assert (coverage["expected"], coverage["present"], coverage["partial"]) == (3, 1, True)
    done = call("evaluate", *words, "--missing-fail", "--sheet", 2, "--overwrite")
    coverage = json.loads(done.out)["coverage"]
    assert (coverage["expected"], coverage["present"], coverage["partial"]) == (3, 1, False)


def test_a_sound_of_another_rate_is_converted_when_asked(call: Call, data: Path) -> None:
    soundfile.write(_sound(data), np.ones((9000, 6), np.int16), 8000)
    out = data.parent / "run"
    words = ["evaluate", "--model", "ezvsl", "--protocol", "vggss", "--data", data, "--out", out]
    done = call(*words, "--sheet", 0, "--resample")
    assert done.code == 0
    assert "N_IMAGE_" in done.err or "N_SOUND_" in done.err
    assert json.loads((out / "result.json").read_text())["model"]["options"] == {"resample": True}


@pytest.mark.parametrize("command", ["evaluate --sheet 0", "predict", "contribution"])
def test_what_is_unusual_is_shown_by_every_command(call: Call, data: Path, command: str) -> None:
    soundfile.write(_sound(data), np.zeros((9000, 1), np.int16), _rate("ezvsl"))
    words = ["--model", "ezvsl", "--protocol", "vggss", "--data", data, "--out", data / "run"]
    done = call(*command.split(), *words)
    assert done.code == 0, done.err
    assert f"N_SOUND_SILENT: 1 sound, such as {BAD}" in done.err


def test_media_are_looked_at_before_anything_is_drawn(
    call: Call, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("ssl_bench.analysis.request.check_scorable", drawn)
    _sound(data).write_bytes(b"")
    assert "[E_FILE_EMPTY]" in _refused(call, "ezvsl", data, _sound(data))


def test_a_sound_without_samples(call: Call, data: Path) -> None:
    soundfile.write(_sound(data), np.zeros((0, 1), np.int16), _rate("ezvsl"))
    assert "[E_SOUND_EMPTY]" in _refused(call, "ezvsl", data, _sound(data))


def test_an_empty_sound_file(call: Call, data: Path) -> None:
    _sound(data).write_bytes(b"")
    assert "[E_FILE_EMPTY]" in _refused(call, "ezvsl", data, _sound(data))


@pytest.mark.parametrize("name", ["ezvsl", "ogl-l1"])
def test_an_image_of_one_pixel(call: Call, data: Path, name: str) -> None:
    Image.new("RGB", (1, 1), (200, 200, 200)).save(_image(data))
    assert "[E_IMAGE_EMPTY]" in _refused(call, name, data, _image(data))


def test_an_image_too_elongated_for_the_model(call: Call, data: Path, tmp_path: Path) -> None:
    """A whole file that one model refuses is named by id and path, too."""
    Image.new("RGB", (300, 1)).save(_image(data))
    mine = tmp_path / "mine.py"
    mine.write_text(_CROPPING)
    said = _refused(call, f"{mine}:Cropping", data, _image(data))
    assert "[E_IMAGE_ELONGATED]" in said
    assert f"{BAD} (" in said


_CROPPING = '''
import numpy as np
from ssl_bench.models.contract import Localizer
from ssl_bench.models.images import ImagePreprocessing, prepare_images


class Cropping(Localizer):
    """Looks at the centre of an image."""

    name = "cropping"
    audio_blind = True

    def encode_image(self, images):
        pixels = prepare_images(images, ImagePreprocessing(resize="crop-pil", side=8))
        return {"level": pixels.mean(axis=1)}

    def encode_audio(self, sounds):
        return {}

    def localize(self, image_features, audio_features):
        return image_features["level"]
'''
