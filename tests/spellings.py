"""How people spell the clips of VGG-Sound."""

from __future__ import annotations

from collections.abc import Callable

# Each takes a video and a start second.
SPELLINGS: dict[str, Callable[[str, int], str]] = {
    "padded": lambda v, s: f"{v}_{s:06d}",
    "plain": lambda v, s: f"{v}_{s}",
    "five-digits": lambda v, s: f"{v}_{s:05d}",
    "start-end": lambda v, s: f"{v}_{s}_{s + 10}",
    "padded-start-end": lambda v, s: f"{v}_{s:06d}_{s + 10:06d}",
    "milliseconds": lambda v, s: f"{v}_{s * 1000}_{s * 1000 + 10000}",
    "padded-milliseconds": lambda v, s: f"{v}_{s * 1000:06d}_{s * 1000 + 10000:06d}",
    "decimals": lambda v, s: f"{v}_{s}.0",
    "padded-decimals": lambda v, s: f"{v}_{s:06d}.0.jpg",
    "audioset": lambda v, s: f"Y{v}_{s}.000_{s + 10}.000.wav",
    "Y": lambda v, s: f"Y{v}_{s:06d}",
    "label": lambda v, s: f"dog_{v}_{s:06d}",
    "label-Y": lambda v, s: f"dog barking_Y{v}_{s}",
    "twice": lambda v, s: f"{v}_{s:06d}_{v}_{s:06d}",
    "frame": lambda v, s: f"{v}_{s:06d}_frame",
    "frame-number": lambda v, s: f"{v}_{s:06d}_frame_00125.JPG",
    "number-behind": lambda v, s: f"{v}_{s:06d}_125",
    "endings": lambda v, s: f"{v}_{s}.mp4.WAV",
    "folders": lambda v, s: f"/data/dog/{v}/{v}_{s:06d}.mp4",
    "windows": lambda v, s: f"C:\\clips\\{v}_{s}.mp4",
    "hyphen": lambda v, s: f"{v}-{s}-{s + 10}",
    "unit": lambda v, s: f"{v}_{s}s",
    "small-letters": lambda v, s: f"{v}_{s:06d}".lower(),
}
# What nothing but the known videos can tell.
ONLY_KNOWN = {"small-letters", "label", "label-Y", "twice"}
