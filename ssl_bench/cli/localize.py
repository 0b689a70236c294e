"""``ssl-bench localize``: one picture and one sound, or one video."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import FILE, json_option, pairs_option, resample_option, whole_or_text
from ssl_bench.cli.terminal import (
    show,
    unbroken,
)
from ssl_bench.plots import format_of
from ssl_bench.progress import progress_bars

_SHIPPED = "-"


@command()
@click.argument("image", type=FILE, metavar="IMAGE|VIDEO")
@click.argument("sound", type=FILE, required=False)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("ezvsl",),
    show_default=True,
    metavar="NAME",
    **completed(candidates.models),
    help="Baseline, plug-in, or FILE.py:NAME; several stand side by side.",
)
@click.option(
    "--variant",
    help="Variant of the baselines. Default: the one that ships.",
    **completed(candidates.variants),
)
@click.option(
    "--weights",
    multiple=True,
    metavar="FILE",
    help=f"Weights, once for each --model, in their order; {_SHIPPED} for those that ship.",
)
@pairs_option(
    "--option",
    "settings",
    "KEY=VALUE",
    whole_or_text,
    help="Further setting of the models; may be repeated.",
)
@resample_option
@click.option(
    "--rate",
    type=click.IntRange(1000, 192_000),
    default=16_000,
    show_default=True,
    help="Of a video: samples of its sound in a second that models are given.",
)
@click.option(
    "--maps",
    type=click.FloatRange(0.1, 60),
    default=4.0,
    show_default=True,
    help="Of a video: maps in a second.",
)
@click.option(
    "--window",
    type=click.FloatRange(0.1, 60),
    default=3.0,
    show_default=True,
    help="Of a video: seconds of sound around each map.",
)
@click.option(
    "-o",
    "--out",
    type=FILE,
    help="Figure (.png, .pdf, .svg) or video (.mp4).  [default: STEM-localized.png or .mp4]",
)
@json_option
def localize(**given: Any) -> None:
    """Find the pixels of IMAGE that make SOUND, or those of VIDEO over time.

    Of a picture and a sound, writes a figure with the map, the pixels that are predicted and the
    model's audio-blind map, and prints where the map is highest. Of a video alone, writes a video
    with the map over its pictures, and its sound. The weights that ship know the embedded world
    alone: photographs need --variant full and --weights.
    """
    image: Path = given["image"]
    sound: Path | None = given["sound"]
    models: tuple[str, ...] = given["models"]
    if len(given["weights"]) not in (0, len(models)):
        raise click.UsageError("give --weights once for each --model, or not at all")
    out: Path = given["out"] or Path(f"{image.stem}-localized.{'mp4' if sound is None else 'png'}")
    from ssl_bench.media.image import IMAGE_SUFFIXES

    if sound is None and image.suffix.lower() in IMAGE_SUFFIXES:
        raise click.UsageError(f"{image} is a picture: give a SOUND, too")
    if os.path.realpath(out) in {os.path.realpath(each) for each in (image, sound) if each}:
        raise click.UsageError(f"{out} is what is to be localized; name another file with --out")
    if sound is not None:
        format_of(out)
    from ssl_bench.figures.localized import loaded
    from ssl_bench.figures.localized import localize as find

    named = given["weights"] or (_SHIPPED,) * len(models)
    localizers = [
        loaded(
            name,
            resample=given["resample"],
            variant=given["variant"],
            weights=None if weights == _SHIPPED else weights,
            options=given["settings"],
        )
        for name, weights in zip(models, named, strict=True)
    ]
    if sound is None:
        from ssl_bench.figures.localized_video import VideoOptions, localize_video

        with progress_bars(quiet=given["as_json"]) as (progress, _):
            tell = partial(progress, "seconds of video")
            options = VideoOptions(given["maps"], given["window"], given["rate"], tell)
            count = localize_video(image, out, localizers, options)
        if given["as_json"]:
            from ssl_bench.cli.documents import print_document

            facts = {"file": str(out), "pictures": count, "models": models}
            print_document("localize-video", facts)
        else:
            show(f"Wrote {count:,} pictures with their sound into {unbroken(out)}.")
        return
    found = find(image, sound, localizers)
    found.save(out)
    height, width = found.image.shape[:2]
    if given["as_json"]:
        from ssl_bench.cli.documents import print_document

        peaks = {each.model: found.peak_of(each) for each in found.models}
        print_document(
            "localize", {"file": str(out), "width": width, "height": height, "peaks": peaks}
        )
        return
    for each in found.models:
        column, row = found.peak_of(each)
        show(f"{each.model}: highest at column {column}, row {row} of {width} x {height}")
        if each.blind_note:
            show(f"{each.model}: no audio-blind map ({each.blind_note})")
    show(f"Wrote {unbroken(out)}.")
