"""``ssl-bench nearest``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ssl_bench.cli import candidates
from ssl_bench.cli.candidates import completed
from ssl_bench.cli.config import command
from ssl_bench.cli.options import (
    FILE,
    PICTURE,
    choice_option,
    count_option,
    data_option,
    json_option,
    protocol_option,
)
from ssl_bench.cli.terminal import plain_table, show, show_notes
from ssl_bench.progress import progress_bars


@command()
@click.option(
    "--model",
    metavar="NAME",
    help="Whose features items are compared by.",
    **completed(candidates.models),
)
@click.option("--variant", help="Variant of the baseline. Default: the one that ships.")
@click.option("--weights", type=FILE, help="Weights file.")
@click.option(
    "--features", type=FILE, help="In place of a model: stored features, of 'data features'."
)
@protocol_option
@choice_option("--by", ("sounds", "images"), "Rank sounds by sounds, or images by images.")
@count_option("--queries", 4, "Queries to draw, at random.", most=50)
@count_option("--neighbours", 5, "Nearest items of each to draw.", most=20)
@click.option("--ids", multiple=True, metavar="A,B", help="These queries; may be repeated.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the choice of queries.")
@click.option(
    "--out", type=PICTURE, help="(.png, .pdf, .svg)  [default: nearest-MODEL-PROTOCOL-BY.png]"
)
@data_option
@json_option
def nearest(
    model: str | None,
    variant: str | None,
    weights: Path | None,
    features: Path | None,
    protocol: str,
    by: Literal["sounds", "images"],
    queries: int,
    neighbours: int,
    ids: tuple[str, ...],
    seed: int,
    out: Path | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Rank sounds by sounds, or images by images, by a model's features.

    Tells how often one of the query's category is among the 1, 5 and 10 nearest, and draws some
    queries with what is nearest to them. Clips of the query's own video are left out.
    """
    if (model is None) == (features is None):
        raise click.UsageError("give either --model or --features")
    from ssl_bench.analysis.nearest import embeddings_of_file, embeddings_of_model, find_nearest
    from ssl_bench.figures.nearest import draw_nearest
    from ssl_bench.models.contract import Localizer
    from ssl_bench.models.registry import load_localizer
    from ssl_bench.protocols.protocol import load_protocol
    from ssl_bench.trials.compositions import open_trials, with_split

    trials = open_trials(with_split(load_protocol(protocol), data=data), data)
    with progress_bars(quiet=as_json) as (progress, _):
        if features is not None:
            embedded = embeddings_of_file(features, trials, by)
        else:
            assert model is not None
            localizer = load_localizer(model, variant=variant, weights=weights)
            if not isinstance(localizer, Localizer):
                raise click.UsageError(f"{model} makes no features")
            embedded = embeddings_of_model(localizer, trials, by, progress=progress)
    chosen = [name for text in ids for name in text.split(",") if name]
    found = find_nearest(
        embedded, by, ids=chosen, queries=queries, neighbours=neighbours, seed=seed
    )
    place = protocol.replace("@", "-").replace(":", "-")
    out = out or Path(f"nearest-{embedded.model}-{Path(place).stem}-{by}.png")
    draw_nearest(found, trials, out)
    if as_json:
        from ssl_bench.cli.documents import print_document

        print_document("nearest", found)
        return
    rows = [
        [
            str(hit.k),
            f"{100 * hit.share:.1f} [{100 * hit.low:.1f}, {100 * hit.high:.1f}]",
            f"{100 * hit.chance:.1f}",
        ]
        for hit in found.hits
    ]
    title = f"{found.model}, {found.kind} by {found.kind} on {found.protocol}"
    show(plain_table(title, ("nearest", "one of the same category", "by chance"), rows))
    show_notes([f"wrote {out}"])
