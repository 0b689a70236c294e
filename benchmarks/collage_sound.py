"""A first truth check of the embedded world: an object prior against sound, on `collage`.

EZ-VSL's objective trains a linear projection of frozen EfficientNet-Lite0 features, and a small
network of sounds, on ``collage:train``. It is no recipe of a baseline: the trunk does not learn,
and pictures are not augmented but mirrored. Beside the audio-visual maps stand those of the prior
(the mean activation of the same features), both mixed, and the audio-visual maps of other sounds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.measures.batch import Binarization, evaluate_maps
from ssl_bench.models.checkpoints import read_checkpoint
from ssl_bench.models.efficientnet import CHANNELS, LiteClassifier
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.registry import load_baseline
from ssl_bench.models.resnet import SMALL_TRUNK, ResidualTrunk
from ssl_bench.models.spectrograms import log_mel_spectrogram
from ssl_bench.testsets import open_test_set
from ssl_bench.testsets.truth import render
from ssl_bench.training.objectives.ez_vsl import ez_vsl_loss

ALPHA = 0.4
GRID = 224
TAU = 0.1
WIDTH = 128


@dataclass
class Trials:
    """Features ``(n, 1280, 7, 7)``, sounds ``(n, 1, 64, T)`` and truth of n trials."""

    features: NDArray[np.float16]
    sounds: NDArray[np.float32]
    truths: NDArray[np.float32]


class Network(nn.Module):
    """Both projections, and the network of sounds."""

    def __init__(self) -> None:
        super().__init__()
        self.images = nn.Conv2d(CHANNELS, WIDTH, 1)
        self.hearing = ResidualTrunk(SMALL_TRUNK, input_channels=1)
        self.sounds = nn.Linear(SMALL_TRUNK.channels, WIDTH)

    def hear(self, tables: Tensor) -> Tensor:
        """Sounds ``(B, 1, 64, T)`` as ``(B, D)``, not scaled."""
        strongest = functional.adaptive_max_pool2d(self.hearing(tables), 1).flatten(1)
        projected: Tensor = self.sounds(strongest)
        return projected


def trunk() -> LiteClassifier:
    packaged = load_baseline("ogl-l1").variant("imagenet-lite").packaged_weights
    assert packaged is not None
    network = LiteClassifier().eval()
    network.load_state_dict(dict(read_checkpoint(packaged.path()).tensors))
    return network


def encoded(network: LiteClassifier, images: list[NDArray[np.uint8]]) -> NDArray[np.float16]:
    with torch.inference_mode():
        pixels = torch.from_numpy(prepare_images(images, ImagePreprocessing()))
        return network.last_map(pixels).numpy().astype(np.float16)


def table(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    mel = log_mel_spectrogram(samples[:, 0] / 32768.0, 16000, window=512, hop=256)
    return mel.astype(np.float32)[None]


def read(network: LiteClassifier, split: str, count: int) -> Trials:
    test_set = open_test_set("collage", split, options={"count": count})
    features, sounds, truths = [], [], []
    for start in range(0, count, 50):
        part = test_set.samples[start : start + 50]
        features.append(encoded(network, [test_set.image(each.id) for each in part]))
        sounds += [table(test_set.waveform(each.id).samples) for each in part]
        truths += [render(each.annotation, "mask", GRID, GRID) for each in part]
    return Trials(np.concatenate(features), np.stack(sounds), np.stack(truths))


def concatenated(network: LiteClassifier, count: int) -> Trials:
    """Two pictures side by side, with the sound of one; each pair twice."""
    test_set = open_test_set("collage", "standard", options={"count": count})
    alone = [each for each in test_set.samples if each.attributes["n_capable"] == 1]
    features, sounds, truths = [], [], []
    for one, other in zip(alone[::2], alone[1::2], strict=False):
        if one.category == other.category:
            continue
        halves = [
            np.asarray(Image.fromarray(test_set.image(each.id)).resize((GRID // 2, GRID)))
            for each in (one, other)
        ]
        shown = encoded(network, [np.concatenate(halves, axis=1)])
        for place, each in enumerate((one, other)):
            truth = np.zeros((GRID, GRID), np.float32)
            half = render(each.annotation, "mask", GRID, GRID // 2)
            truth[:, place * GRID // 2 : (place + 1) * GRID // 2] = half
            features.append(shown)
            sounds.append(table(test_set.waveform(each.id).samples))
            truths.append(truth)
    return Trials(np.concatenate(features), np.stack(sounds), np.stack(truths))


def fitted(data: Trials, seed: int, epochs: int, batch: int = 64) -> Network:
    torch.manual_seed(seed)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    steps = epochs * (len(data.sounds) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(data.sounds)).split(batch):
            if len(rows) < batch:
                continue
            features = torch.from_numpy(data.features[rows.numpy()]).float()
            if torch.rand(()) < 0.5:
                features = features.flip(3)
            tables = torch.from_numpy(data.sounds[rows.numpy()])
            tables = tables.roll(int(torch.randint(tables.shape[3], ())), 3)
            loss = ez_vsl_loss(network.images(features), network.hear(tables), TAU)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def maps(network: Network, data: Trials) -> Iterator[tuple[str, NDArray[np.float32]]]:
    prior = data.features.astype(np.float32).mean(axis=1)
    with torch.inference_mode():
        places = functional.normalize(
            network.images(torch.from_numpy(data.features).float()), dim=1
        )
        heard = functional.normalize(network.hear(torch.from_numpy(data.sounds)), dim=1)
        seen = torch.einsum("ndhw,nd->nhw", places, heard).numpy()
        swapped = torch.einsum("ndhw,nd->nhw", places, heard.roll(7, 0)).numpy()
    yield "audio-visual", seen
    yield "other sounds", swapped
    yield "object prior", prior
    yield "mixed", ALPHA * _scaled(seen) + (1 - ALPHA) * _scaled(prior)


def _scaled(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = heat.min(axis=(1, 2), keepdims=True), heat.max(axis=(1, 2), keepdims=True)
    scaled: NDArray[np.float32] = (heat - low) / np.maximum(high - low, 1e-9)
    return scaled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=1500, help="training scenes")
    parser.add_argument("--count", type=int, default=500, help="trials of each split")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    network = trunk()
    training = read(network, "train", given.scenes)
    splits = ("standard", "unseen-cutouts", "two-source", "interactive")
    asked = {split: read(network, split, given.count) for split in splits}
    asked["concat"] = concatenated(network, given.count)
    figures: dict[tuple[str, str], list[list[float]]] = {}
    for seed in range(given.seeds):
        trained = fitted(training, seed, given.epochs)
        for split, data in asked.items():
            for name, heat in maps(trained, data):
                [scores] = evaluate_maps(heat, data.truths, Binarization(rules=("adaptive",)))
                right = scores.rules["adaptive"]["cIoU"] >= 0.5
                row = [float(right.mean()), float(scores.peak_hit.mean())]
                if split in ("interactive", "concat"):
                    row.append(float((right[::2] & right[1::2]).mean()))
                figures.setdefault((split, name), []).append(row)
    print("percent: cIoU(adaptive)@0.5 / pointing (/ pairs both right at cIoU); from - to of seeds")
    for (split, name), rows in figures.items():
        low, high = 100 * np.min(rows, axis=0), 100 * np.max(rows, axis=0)
        text = " / ".join(f"{a:.0f}-{b:.0f}" for a, b in zip(low, high, strict=True))
        print(f"{split:15} {name:14} {text}")


if __name__ == "__main__":
    main()
