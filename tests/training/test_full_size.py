"""Every full-size recipe trains on a folder of clips, and its weights load as the model's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from made_videos import Made, as_asked, make_video
from PIL import Image

from ssl_bench.media.image import read_image
from ssl_bench.media.waveform import Waveform
from ssl_bench.models.recipes import Variant
from ssl_bench.models.registry import list_baselines, load_baseline, load_localizer
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.models.unet import RESNET34
from ssl_bench.models.vgg import VGG11_STAGES, VGG16_STAGES, vgg_stack
from ssl_bench.training.data import MADE_BY_CODE
from ssl_bench.training.folder import open_user_folder
from ssl_bench.training.given_truth import open_truth
from ssl_bench.training.neighbours import NeighbourFiles
from ssl_bench.training.record import read_record
from ssl_bench.training.run import plan_training, train
from ssl_bench.training.run_state import RunState

FULL_SIZE = [
    (name, variant)
    for name in list_baselines()
    for variant, chosen in load_baseline(name).recipe.variants.items()
    if chosen.training is not None and not variant.startswith(tuple(MADE_BY_CODE))
]
SECONDS = 5
# Networks whose images are seen by another trunk than ResNet-18.
TRUNKS = {"attention": "deep stack", "oya": "stack", "sspl": "deep stack", "unet": "deep"}
CLIPS = [f"video{number}_000010" for number in range(4)]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def image_trunks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files with the keys of torchvision's classifiers, as far as their trunks are read."""
    folder = tmp_path_factory.mktemp("trunks")
    architecture = load_baseline("ezvsl").variant("full").architecture["trunk"]
    trunk = ResidualTrunk(TrunkArchitecture.model_validate(architecture), input_channels=3)
    head = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    torch.save({**trunk.state_dict(), **head}, folder / "resnet18.pth")
    for name, stages in (("vgg11", VGG11_STAGES), ("vgg16", VGG16_STAGES)):
        stack = vgg_stack(stages).state_dict()
        named = {f"features.{key}": value for key, value in stack.items()}
        torch.save(named, folder / f"{name}.pth")
    encoder = ResidualTrunk(RESNET34, input_channels=3)
    torch.save({**encoder.state_dict(), **head}, folder / "resnet34.pth")
    return {
        "residual": folder / "resnet18.pth",
        "deep": folder / "resnet34.pth",
        "stack": folder / "vgg11.pth",
        "deep stack": folder / "vgg16.pth",
    }


@pytest.fixture(scope="module")
def clips_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folders of clips with videos, by the rate of their sounds."""
    made: dict[int, Path] = {}

    def make(rate: int) -> Path:
        if rate not in made:
            made[rate] = folder = tmp_path_factory.mktemp(f"clips{rate}")
            for part in ("frames", "audio", "videos"):
                (folder / part).mkdir()
            for number, clip in enumerate(CLIPS):
                rng = np.random.default_rng(number)
                pixels = rng.integers(0, 256, (180, 240, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "frames" / f"{clip}.png")
                sound = rng.normal(0, 3000, SECONDS * rate).astype(np.int16)
                soundfile.write(folder / "audio" / f"{clip}.wav", sound, rate)
                make_video(folder / "videos" / f"{clip}.mp4", Made(count=5, layout=""))
        return made[rate]

    return make


def make_inputs_small(name: str, chosen: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of a twelfth of the pixels, and at most 2 s of sound.

    Networks stay as large as they are; tests of parity feed them what they are made for.
    """
    # Predictive coding takes maps of six places to a side, and no smaller ones.
    monkeypatch.setitem(chosen.preprocessing["image"], "side", 96 if name == "sspl" else 64)
    audio = chosen.preprocessing.get("audio", {})
    if audio.get("seconds", 0) > 2:
        monkeypatch.setitem(audio, "seconds", 2.0)
    if "first" in audio:  # a part of the sound, in samples
        monkeypatch.setitem(audio, "first", 8_000)
        monkeypatch.setitem(audio, "last", 24_000)


@pytest.mark.parametrize(("name", "variant"), FULL_SIZE)
def test_it_trains_on_a_folder_of_clips(
    name: str,
    variant: str,
    clips_at: Callable[[int], Path],
    image_trunks: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The state of an unfinished run is up to a gigabyte; small recipes save and resume it.
    monkeypatch.setattr(RunState, "save", lambda *_: None)
    chosen = load_baseline(name).variant(variant)
    make_inputs_small(name, chosen, monkeypatch)
    audio = chosen.preprocessing.get("audio", {})
    rate = int(audio.get("rate", audio.get("usual_rate", 16000)))
    folder = clips_at(rate)
    features = tmp_path / "features.npz"
    np.savez(features, ids=CLIPS, features=np.random.default_rng(0).normal(size=(len(CLIPS), 4)))
    fewer = {"settings.neighbours": 1} if name in ("sslalign", "hardpos") else {}
    (tmp_path / "ids.csv").write_text("".join(f"{c},{c[5] in '02'}\n" for c in CLIPS))
    boxes = "".join(f"{clip},0.1,0.2,0.6,0.8\n" for clip in CLIPS)
    (tmp_path / "boxes.csv").write_text(f"id,x0,y0,x1,y1\n{boxes}")
    needs = plan_training(name, variant=variant).needs
    data = open_user_folder(
        folder,
        needs=needs,
        ids=tmp_path / "ids.csv",
        truth=open_truth(tmp_path / "boxes.csv") if needs.truth else None,
    )
    train(
        name,
        data=data,
        variant=variant,
        out=tmp_path,
        # Negatives need a batch of two; all else is as in the recipe.
        changes={"batch": 2, "epochs": 1, **fewer},
        image_trunk=None
        if (chosen.training or {})["image_trunk"] == "none"
        else image_trunks[TRUNKS.get(name, "residual")],
        neighbours=NeighbourFiles(features, features) if fewer else None,
    )
    record = read_record(tmp_path / f"{variant}.training.json")
    assert len(record.losses) == 1
    assert np.isfinite(record.losses).all()

    model = load_localizer(name, variant=variant, weights=tmp_path / f"{variant}.safetensors")
    image = read_image(folder / "frames" / f"{CLIPS[0]}.png")
    samples, _ = soundfile.read(folder / "audio" / f"{CLIPS[0]}.wav", dtype="int16", always_2d=True)
    images = model.encode_image(as_asked(model, [image]))
    maps = model.localize(images, model.encode_audio([Waveform(samples, rate)]))
    assert maps.shape[0] == 1
    assert np.isfinite(maps).all()
    # Half a gigabyte for the largest.
    (tmp_path / f"{variant}.safetensors").unlink()
