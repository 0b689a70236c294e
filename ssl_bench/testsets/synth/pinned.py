"""What a few samples must render to, so that a changed world is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from ssl_bench.testsets.synth.world import World

PINNED: Mapping[tuple[str, int], tuple[str, str, str]] = {
    ("standard", 0): (
        "16bc43b877b263b4fb90cd8ae289b7e3b2e55af69db7793cc5cb661644766fcf",
        "2ca56c44c6e92a900f70835f653d9dead6f94f3b7cd69695c7afdb6d3778a4a8",
        "bb2ed71b2b029ac123064e722157454cd70eb01990bcd4dc0e8d29a9ba78f7b3",
    ),
    ("standard", 2): (
        "934b29bbbd4e52468dd6bf9d2cd0439f6491cdb8a5d9245ae60f71a535804e9e",
        "64b5c2799d99aa14770c1ce2e03b623e9654e23b1f2f3507d980dab3fbc9bfad",
        "4c3270c8cbf59888f2025b3a1e169dcd5bc4334ba93372c0e702ce3786c30383",
    ),
    ("two-source", 4): (
        "12a961095137e2b939ff9b0fd67e2696131612ec6376db1a86fc77e8d396a29f",
        "a504722993f311162764a836608ce9013da0f82f80640a1228474b9b372bba5c",
        "48d4eeb92dd00c600037c32248b3a5e5d550f688ef2be01ac0cfa7328c27f82b",
    ),
    ("interactive", 7): (
        "0bc6670f78612092be0ac0fd315334bbe959495df73a6f990edce10215955571",
        "5c3bd83c144edfb692d5cd549d5bfd8306b6041c0d2cdbe65163d48b3ce60814",
        "5168300631602e8ebb4c64301667c2bb40e211be836bd9ccdde355d90bd8d32b",
    ),
    ("objects", 1): (
        "356bea83cb55adf297859efa7a4fe0ac1cb3e62e7a203143e682235daa41980f",
        "8bfc4a686fb1ef35bd62e3754c4e7b3d07cd5a574da255f4272fee7413b455d6",
        "420d5589a011e107b38eed141e4ad4c611a63f9912295837a019025351de21af",
    ),
}
"""SHA-256 of image, label map and sound, by split and index, of the default world."""


def fingerprints(world: World, split: str, index: int) -> tuple[str, str, str]:
    """SHA-256 of one sample's image, label map and sound, rendered again."""
    scene = world.scene(split, index)
    arrays = world.image(scene), scene.labels, world.sound(scene).astype("<i2")
    image, mask, sound = (hashlib.sha256(array.tobytes()).hexdigest() for array in arrays)
    return image, mask, sound


def check_pinned() -> Iterator[tuple[str, bool]]:
    """Each pinned image, mask and sound by name, and whether it renders as pinned."""
    world = World()
    for (split, index), expected in PINNED.items():
        rendered = fingerprints(world, split, index)
        for part, pinned, found in zip(("image", "mask", "sound"), expected, rendered, strict=True):
            yield f"{split}-{index:06d} {part}", found == pinned
