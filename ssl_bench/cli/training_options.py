"""Options of how a baseline is trained, which ``train`` and ``sweep`` share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.options import FILE, PATH, choice_option, pairs_option, together


def _value_of(text: str) -> Any:
    from ssl_bench.schemas import value_of

    return value_of(text)


clips_options = together(
    click.option(
        "--ids",
        metavar="LIST",
        type=FILE,
        help="Clips of the folder to train on, one on each line (text or CSV, plain or .gz); a "
        "classifier takes its labels from the second column.  [default: all]",
    ),
    click.option(
        "--truth",
        metavar="FILE|DIR",
        type=PATH,
        help="Where the clips of the folder sound, for supervised models: a CSV of boxes "
        "(id,x0,y0,x1,y1, from 0 to 1 of the image), a JSON as of VGG-SS, or a folder of masks "
        "ID.png or of annotations ID.xml as of Flickr-SoundNet.",
    ),
    click.option(
        "--masks",
        type=click.Choice(["two-valued", "nonzero", "half", "alpha", "dither"]),
        help="What is inside a mask of --truth: all that is not black, at least half as bright as "
        "white, its alpha channel, or as Pillow dithers it.  [default: two-valued, which refuses "
        "masks of more than black and one other level]",
    ),
)
held_out_options = together(
    click.option(
        "--held-out",
        multiple=True,
        metavar="PROTOCOL|FILE",
        **completed(candidates.protocols),
        help="Refuse to train on clips of this protocol's test set or of this list, or on other "
        "clips of their videos; may be repeated.",
    ),
    click.option("--skip-held-out", is_flag=True, help="Leave such clips out, and say how many."),
)
change_option = pairs_option(
    "--change",
    "changes",
    "KEY=VALUE",
    _value_of,
    help="Change a field of the recipe, such as batch=32, epochs=5 or settings.tau=0.05, or of the "
    "network, such as architecture.dimension=128; may be repeated. The record says so.",
)
image_trunk_option = click.option(
    "--image-trunk",
    type=FILE,
    help="Weights that the image trunk starts from, where the recipe asks for some.  [default: "
    "the object classifier that ships, or torchvision's ImageNet weights from their address]",
)
accelerator_option = choice_option(
    "--accelerator", ["auto", "cpu", "cuda"], "auto takes a GPU where there is one."
)
neighbours_options = together(
    click.option(
        "--neighbour-images",
        type=FILE,
        help="Features of the clips' images, from any encoder, where the recipe draws clips that "
        "look alike: .npz with ids and features, or .npy with a .txt of ids beside it.",
    ),
    click.option("--neighbour-sounds", type=FILE, help="The same of their sounds."),
)


def neighbour_files(given: Mapping[str, Any]) -> tuple[Path, Path] | None:
    """Features of images and of sounds, both or neither."""
    images, sounds = given["neighbour_images"], given["neighbour_sounds"]
    if (images is None) != (sounds is None):
        raise click.UsageError("give both --neighbour-images and --neighbour-sounds, or neither")
    return None if images is None else (images, sounds)
