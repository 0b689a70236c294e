"""What ``ssl-bench submit`` says of an entry: its row of the page, and what would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from ssl_bench.leaderboard.entry import Entry
    from ssl_bench.leaderboard.submit import Submission
    from ssl_bench.scoring.results import MeasuredValue


def submission_facts(submission: Submission, dry_run: bool) -> dict[str, Any]:
    """A submission for programs."""
    entry, standing = submission.entry, submission.standing
    result = entry.result
    return {
        "slug": entry.slug,
        "protocol": entry.protocol,
        "dialect": result.protocol.dialect,
        "digest": entry.protocol_digest,
        "written": not dry_run,
        "headline": [_position(entry, value) for value in _headline(entry)],
        "vision_only_note": result.vision_only_note,
        "measures": [each.model_dump(mode="json") for each in result.measures],
        "submitted": [each.model_dump(mode="json") for each in submission.submitted],
        "coverage": result.coverage.model_dump(mode="json"),
        "ranked": entry.can_be_ranked,
        "tie_group": standing.group,
        "tied_with": [
            name for name in submission.after.group_of(standing.name) if name != entry.slug
        ],
        "ranks": [standing.best_rank, standing.worst_rank],
        "moved": [now.name for _, now in submission.moved],
        "files": {
            name: None if content is None else len(content)
            for name, content in submission.files.items()
        },
    }


def submission_tables(submission: Submission, root: Path, dry_run: bool) -> list[Table | str]:
    """A submission for a person: its row, its tie group, what the sound adds and what changes."""
    from ssl_bench.cli.terminal import coverage_sentence, plain_table, with_interval

    entry, standing = submission.entry, submission.standing
    told = entry.result.protocol
    rows = [
        [own.measure, with_interval(own), with_interval(full), _change(own, full)]
        for own, full in zip(entry.result.measures, submission.submitted, strict=True)
    ]
    head = ["percent [95 % interval]", "entry", "file as submitted", "difference"]
    shown: list[Table | str] = [
        _row(entry),
        sound_sentence(entry),
        coverage_sentence(entry.result),
        f"Dialect {told.dialect}, protocol digest {told.digest[:12]}.",
    ]
    others = [name for name in submission.after.group_of(entry.slug) if name != entry.slug]
    count = len(submission.after.standings)
    shown.append(
        f"By {entry.headline.measure}: tie group {standing.group}, rank {standing.best_rank} to "
        f"{standing.worst_rank} of {count}."
        if others or count > 1
        else f"By {entry.headline.measure}: the only entry of this protocol."
    )
    if entry.is_kept_elsewhere:
        shown.append(
            "Its page will not rank it: maps that are kept at an address are listed apart, as not "
            "scored again here."
        )
    if others:
        shown.append(f"Not told apart from: {', '.join(others)}.")
    shown += [
        f"{now.name}: group {was.group} to {now.group}, rank {was.best_rank} to {was.worst_rank} "
        f"before, {now.best_rank} to {now.worst_rank} then."
        for was, now in submission.moved
    ]
    shown.append(plain_table("All measures, as stored and as submitted", head, rows))
    done = "Would write" if dry_run else "Wrote"
    for name, content in submission.files.items():
        if content is not None:
            shown.append(f"{done} {root / name} ({len(content):,} bytes).")
        elif (root / name).exists():
            shown.append(f"Would remove {root / name}.")
    return shown


def sound_sentence(entry: Entry) -> str:
    """How much of an entry's first measure is hearing, or what it takes to know."""
    from ssl_bench.cli.terminal import signed_with_interval, with_interval
    from ssl_bench.site.numbers import value_of

    blind, measure = entry.result.vision_only, entry.headline.measure
    if blind is not None:
        gap, reached = value_of(blind.gap, measure), value_of(blind.measures, measure)
        if gap is None or reached is None:
            return f"What sound adds: unknown, because {measure} of the audio-blind maps is."
        return (
            f"What sound adds to {measure}: {signed_with_interval(gap)}; the model's own "
            f"audio-blind maps reach {with_interval(reached)}."
        )
    if entry.card.modality != "audio-visual":
        return (
            f"What sound adds: nothing, the card says {entry.card.modality}, which does not listen."
        )
    return "What sound adds: unknown; give the model's audio-blind maps with --vision-only FILE."


def _row(entry: Entry) -> Table:
    """The row of the page, upright: a line for each headline measure."""
    from ssl_bench.cli.terminal import plain_table, signed_with_interval, with_interval
    from ssl_bench.site.numbers import of_reference, percent, share_of_distance, value_of

    result = entry.result
    rows = []
    for own in _headline(entry):
        floor = of_reference(result.best_floor, own.measure)
        ceiling = of_reference(result.ceiling, own.measure)
        blind = result.vision_only
        gap = None if blind is None else value_of(blind.gap, own.measure)
        rows.append(
            [
                own.measure,
                with_interval(own),
                "" if floor is None else with_interval(floor),
                "" if ceiling is None else with_interval(ceiling),
                percent(share_of_distance(own, floor, ceiling)),
                "unknown" if gap is None else signed_with_interval(gap),
            ]
        )
    heads = [
        "percent [95 % interval]",
        "entry",
        "best floor",
        "ceiling",
        "share of that distance",
        "what sound adds",
    ]
    kept = [
        place for place in range(len(heads)) if place < 2 or any(cells[place] for cells in rows)
    ]
    return plain_table(
        f"{entry.card.name} on {entry.protocol}: its row of the page",
        [heads[place] for place in kept],
        [[cells[place] for place in kept] for cells in rows],
    )


def _position(entry: Entry, own: MeasuredValue) -> dict[str, Any]:
    """A headline measure between floor and ceiling, and what the sound adds to it."""
    from ssl_bench.site.numbers import of_reference, share_of_distance, value_of

    result = entry.result
    floor = of_reference(result.best_floor, own.measure)
    ceiling = of_reference(result.ceiling, own.measure)
    blind = result.vision_only
    gap = None if blind is None else value_of(blind.gap, own.measure)
    return {
        "measure": own.measure,
        "entry": own.model_dump(mode="json"),
        "floor": None if floor is None else floor.model_dump(mode="json"),
        "ceiling": None if ceiling is None else ceiling.model_dump(mode="json"),
        "share_of_distance": share_of_distance(own, floor, ceiling),
        "what_sound_adds": None if gap is None else gap.model_dump(mode="json"),
    }


def _headline(entry: Entry) -> tuple[MeasuredValue, ...]:
    from ssl_bench.leaderboard.evidence import RANKED

    return entry.result.measures[:RANKED]


def _change(own: MeasuredValue, full: MeasuredValue) -> str:
    from ssl_bench.site.numbers import scale_of

    if own.value is None or full.value is None:
        return ""
    return f"{scale_of(own.measure) * (own.value - full.value):+.2f}"
