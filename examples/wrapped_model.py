"""A model of one's own in a few lines: any two torch modules, compared by cosines."""

import torch
from torch import nn

import ssl_bench


class ImageEncoder(nn.Module):
    """From pixels (B, 3, 224, 224) to a vector for each place of a grid (B, 64, 14, 14)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, kernel_size=16, stride=16)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.patches(images)
        return found


class AudioEncoder(nn.Module):
    """From spectrograms (B, 1, 257, 200) to one vector (B, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = nn.Linear(257, 64)

    def forward(self, sounds: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.frames(sounds[:, 0].transpose(1, 2))
        return found.mean(dim=1)


def model(seed: int = 0) -> ssl_bench.Localizer:
    """Run by ``ssl-bench evaluate --model examples/wrapped_model.py:model --protocol concat``."""
    torch.manual_seed(seed)  # your weights: encoder.load_state_dict(torch.load("own.pth"))
    return ssl_bench.wrap(ImageEncoder(), AudioEncoder(), name="two-encoders")


if __name__ == "__main__":
    done = ssl_bench.evaluate(model(), "synth", limit=50)
    print(done.to_frame())
