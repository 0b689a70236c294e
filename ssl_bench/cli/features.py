"""``ssl-bench data features``: what clips are compared by in training."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Literal

import click

from ssl_bench.cli.config import command
from ssl_bench.cli.exit_codes import FAULTS_FOUND
from ssl_bench.cli.options import FILE, FOLDER, count_option, jobs_option, json_option
from ssl_bench.cli.terminal import show
from ssl_bench.progress import progress_bars

_SHOWN = 20


@command(short_help="Make features of images or sounds, to find clips that are alike.")
@click.option("--images", type=FOLDER, help="Folder of images, one for each clip.")
@click.option("--sounds", type=FOLDER, help="Folder of sounds, one for each clip.")
@click.option(
    "--encoder",
    required=True,
    metavar="NAME",
    help="Of images: trunk (ships; knows the embedded world), efficientnet-lite0 (ImageNet; extra "
    "imagenet), resnet18 or resnet34 (with torchvision's --weights). Of sounds: bands (nothing is "
    "learned), or a baseline such as ezvsl. Or FILE.py:Class with a method encode(batch).",
)
@click.option("--weights", type=FILE, help="Weights of the encoder.")
@click.option("--variant", help="Variant of the baseline. Default: the one that ships.")
@count_option(
    "--neighbours",
    0,
    "How many of the nearest clips of each to keep in the file: exact up to 50,000 clips, beyond "
    "by faiss (extra search). Training finds them itself, exactly, where there are none.",
    least=0,
    most=10_000,
)
@click.option(
    "-o", "--out", type=FILE, metavar="FILE.npz", help="The file.  [default: DIR-features.npz]"
)
@count_option("--batch-size", 32, "Clips per call of the encoder.")
@click.option("--device", default="cpu", show_default=True, metavar="auto|cpu|cuda|cuda:N|mps")
@jobs_option
@json_option
def features(
    images: Path | None,
    sounds: Path | None,
    encoder: str,
    weights: Path | None,
    variant: str | None,
    neighbours: int,
    out: Path | None,
    batch_size: int,
    device: str,
    jobs: int,
    as_json: bool,
) -> None:
    """Make features of the images or sounds of clips, as 'train --neighbour-images' reads them.

    Clips whose file and encoder have not changed are kept. Exit code 1 if a clip could not be
    encoded; the others are in the file.
    """
    folder = images or sounds
    if folder is None or (images and sounds):
        raise click.UsageError("give either --images DIR or --sounds DIR")
    from ssl_bench.models.devices import resolve
    from ssl_bench.training.encoders import load_encoder
    from ssl_bench.training.feature_files import FeatureOptions, make_features

    kind: Literal["images", "sounds"] = "images" if images else "sounds"
    place = Path(os.path.realpath(folder))
    # `.` has no name of its own.
    target = out or (folder if folder.name else place).parent / f"{place.name}-features.npz"
    loaded = load_encoder(kind, encoder, weights=weights, variant=variant, place=resolve(device))
    with progress_bars(quiet=as_json) as (progress, _):
        tell = partial(progress, f"encoding {kind}")
        options = FeatureOptions(neighbours, batch_size, jobs, tell)
        made = make_features(kind, folder, loaded, target, options)
    problems = [str(each.problem) for each in made.problems]
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document(
            "data-features",
            {
                "file": str(target),
                "clips": made.clips,
                "encoded": made.encoded,
                "written": made.written,
                "exact": made.exact,
                "problems": problems,
            },
        )
    else:
        for each in problems[:_SHOWN]:
            show(each)
        if len(problems) > _SHOWN:
            click.echo(f"and {len(problems) - _SHOWN:,} more; --json lists all")
        nearest = {None: "", True: ", with neighbours", False: ", with approximate neighbours"}
        show(
            f"{target}: {made.clips:,} clips{nearest[made.exact]}; {made.encoded:,} encoded, "
            f"{made.clips - made.encoded:,} kept; not encoded: {len(problems):,}"
        )
    if problems:
        sys.exit(FAULTS_FOUND)
