"""A data folder of made cut-outs, sounds and photographs: the packages of Debian are not needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageDraw

CAPABLE = ("dog", "cat", "bell", "drum", "owl")
SILENT = {"wolf": "look-alike", "apple": "salient", "rose": "salient"}


def make_folder(folder: Path) -> Path:
    """A data folder with everything that `collage.toml` in it names."""
    own = folder / "collage"
    for each in ("stamps", "recordings", "pictures"):
        (own / each).mkdir(parents=True)
    rows = ["role,category,path,sha256"]
    for number, category in enumerate([*CAPABLE, *SILENT]):
        kinds = ("seen", "unseen") if category in CAPABLE else (SILENT[category],)
        for role in kinds:
            picture = Image.new("RGBA", (90 + 20 * number, 140 - 5 * number))
            box = (3, 3, picture.width - 4, picture.height - 4)
            shade = 255 if role == "unseen" else 130
            ImageDraw.Draw(picture).ellipse(box, (25 * number, shade, 230 - 25 * number, 255))
            picture.save(own / "stamps" / f"{category}-{role}.png")
            rows.append(f"{role},{category},{category}-{role}.png,")
        if category in CAPABLE:
            rate = (8000, 16000, 22050, 44100, 11025)[number]
            times = np.arange(int(rate * (0.4 + number))) / rate
            tone = 0.4 * np.sin(2 * np.pi * (300 + 200 * number) * times)
            soundfile.write(own / "recordings" / f"{category}.wav", tone, rate)
            rows.append(f"sound,{category},{category}.wav,")
    for number in range(5):
        colour = (40 * number + 30, 200 - 40 * number, 120)
        Image.new("RGB", (700, 660), colour).save(own / "pictures" / f"{number}.png")
    (own / "items.csv").write_text("\n".join(rows) + "\n")
    (own / "collage.toml").write_text(
        'cutouts = "stamps"\nsounds = "recordings"\nphotographs = "pictures"\nitems = "items.csv"\n'
    )
    return folder
