"""``ssl-bench train`` on a user's folder: models that never hear, and what is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ssl_bench.cli import main
from ssl_bench.cli.train import train
from ssl_bench.media.image import read_image
from ssl_bench.models import downloads
from ssl_bench.models.registry import load_localizer
from ssl_bench.training import preparation
from ssl_bench.training.record import TrainingRecord, read_record

CLIPS = [f"video{number}_000010" for number in range(8)]
LABELS = ("dog barking", "cat, large", "bird")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images alone, with boxes, masks and labels beside them."""
    for folder in ("mine/frames", "masks"):
        (tmp_path / folder).mkdir(parents=True)
    mask = np.zeros((30, 40), np.uint8)
    mask[5:20, 10:30] = 255
    for number, clip in enumerate(CLIPS):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "mine" / "frames" / f"{clip}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{clip}.png")
    boxes = "".join(f"{clip},0.25,0.2,0.75,0.7\n" for clip in CLIPS)
    (tmp_path / "boxes.csv").write_text(f"id,x0,y0,x1,y1\n{boxes}")
    listed = [f'{clip},"{LABELS[number % 3]}"\n' for number, clip in enumerate(CLIPS)]
    (tmp_path / "ids.csv").write_text("".join(listed))
    return tmp_path


def trained(folder: Path, model: str, *further: str | Path) -> tuple[Result, TrainingRecord]:
    out = folder / "out"
    arguments = ["--model", model, "--variant", "synth", "--data", str(folder / "mine")]
    arguments += ["--change", "batch=2", "--change", "epochs=1", "--out", str(out)]
    done = CliRunner().invoke(train, [*arguments, *map(str, further)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done, read_record(out / "synth.training.json")


@pytest.mark.slow
@pytest.mark.parametrize("truth", ["boxes.csv", "masks"])
def test_a_supervised_model_learns_from_images_and_their_truth(images: Path, truth: str) -> None:
    _, record = trained(images, "unet", "--truth", images / truth)
    assert set(record.validation) == {"loss", "cIoU@0.5", "cIoU(adaptive)@0.5"}
    assert len(record.losses) == 3
    model = load_localizer("unet", weights=images / "out" / "synth.safetensors")
    picture = read_image(images / "mine" / "frames" / f"{CLIPS[0]}.png")
    assert model.vision_only(model.encode_image([picture])).shape == (1, 14, 14)


@pytest.mark.parametrize(
    ("model", "loaded"), [("gradcam", ["gradcam"]), ("ogl-l1", ["ogl-l1", "ogl-cls"])]
)
def test_a_classifier_has_the_classes_of_the_list_and_is_loaded_with_them(
    images: Path, model: str, loaded: list[str]
) -> None:
    _, record = trained(images, model, "--ids", images / "ids.csv")
    assert record.classes == ("bird", "cat, large", "dog barking")
    assert set(record.validation) == {"loss", "accuracy"}
    picture = read_image(images / "mine" / "frames" / f"{CLIPS[0]}.png")
    for name in loaded:
        found = load_localizer(name, weights=images / "out" / "synth.safetensors")
        assert np.isfinite(found.vision_only(found.encode_image([picture]))).all()


@pytest.mark.slow
def test_it_is_said_that_no_test_set_was_checked(images: Path) -> None:
    done, record = trained(images, "unet", "--truth", images / "masks")
    assert "held out: nothing was checked; --held-out PROTOCOL refuses clips" in done.stderr
    assert record.checked_against == ()
    kept = images / "test.txt"
    kept.write_text("other_000010\n")
    done, record = trained(
        images, "unet", "--truth", images / "masks", "--held-out", kept, "--overwrite"
    )
    assert "held out:" not in done.stderr
    assert record.checked_against == (str(kept),)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unet", "--data", "mine"], "[E_TRUTH_MISSING]: mine"),
        (["unet", "--data", "mine", "--truth", "absent"], "[E_FILE_MISSING]: absent"),
        (["unet", "--data", "mine", "--truth", "ids.csv"], "the first line must be id,x0,y0,x1,y1"),
        (["unet", "--data", "mine", "--truth", "mine"], "[E_CLIPS_UNUSABLE, "),
        (["unet", "--truth", "boxes.csv"], "choose among the clips of a folder"),
        (["gradcam", "--data", "mine"], "[E_LABELS_MISSING]: mine"),
        (["ogl-l1", "--data", "mine", "--ids", "plain.txt"], "video0_000010 (label): "),
        (["ogl-l1", "--data", "mine", "--ids", "two.csv"], "is labelled 'dog' and 'cat'"),
        (["ogl-l1", "--data", "mine", "--ids", "one.csv"], "[E_CLASSES_FEW]: mine"),
        (["ogl-cls", "--data", "mine"], "[E_VARIANT_UNTRAINED]"),
        (["ezvsl", "--data", "mine", "--truth", "masks"], "[E_TRUTH_UNUSED]"),
        (["icl", "--data", "mine"], "[E_FOLDER_UNREADABLE]: mine/audio"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_fetched_or_written(
    arguments: list[str],
    message: str,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("weights were fetched")

    monkeypatch.setattr(preparation, "fetch", refuse)
    monkeypatch.setattr(downloads, "fetch", refuse)
    monkeypatch.chdir(images)
    Path("plain.txt").write_text("".join(f"{clip}\n" for clip in CLIPS))
    Path("two.csv").write_text(f"{CLIPS[0]},dog\n{CLIPS[0]},cat\n")
    Path("one.csv").write_text("".join(f"{clip},dog\n" for clip in CLIPS))
    before = sorted(images.iterdir())
    with pytest.raises(SystemExit) as stop:
        main(["train", "--model", *arguments])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert "Traceback" not in printed
    assert sorted(images.iterdir()) == before


@pytest.mark.parametrize(("model", "variant"), [("icl", "flickr"), ("ezvsl", "full")])
def test_on_a_folder_the_full_network_is_meant_and_named(
    model: str,
    variant: str,
    tmp_path: Path,
    write_media,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_media(tmp_path / "mine", CLIPS)
    monkeypatch.chdir(tmp_path)
    # A file that is none stops the run where the network is there and starts to be filled.
    Path("trunk.pth").write_bytes(b"nothing")
    with pytest.raises(SystemExit) as stop:
        main(["train", *f"--model {model} --data mine --image-trunk trunk.pth --resample".split()])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert f"variant: {variant}; --variant NAME takes another" in printed
    assert "trunk.pth: this file is damaged" in printed
