"""What ``ssl-bench submit`` prints of an entry: its row of the page, and what would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from ssl_bench.leaderboard.board import Entry
    from ssl_bench.leaderboard.submit import Prepared
    from ssl_bench.scoring.results import MeasuredValue


def submission_facts(prepared: Prepared, dry_run: bool) -> dict[str, Any]:
    """A submission for programs."""
    entry, standing = prepared.entry, prepared.standing
    result = entry.result
    old = None if prepared.replaced is None else prepared.replaced.result.measures
    return {
        "slug": entry.slug,
        "protocol": result.protocol.label,
        "dialect": result.protocol.dialect,
        "digest": result.protocol.digest,
        "written": not dry_run,
        "headline": [_position(entry, value) for value in _headline(entry)],
        "vision_only_note": result.vision_only_note,
        "measures": [each.model_dump(mode="json") for each in result.measures],
        "submitted": [each.model_dump(mode="json") for each in prepared.submitted],
        "coverage": result.coverage.model_dump(mode="json"),
        "ranked": entry.can_be_ranked,
        "tie_group": None if standing is None else standing.group,
        "tied_with": list(prepared.tied_with),
        "ranks": None if standing is None else [standing.best_rank, standing.worst_rank],
        "replaced": [] if old is None else [each.model_dump(mode="json") for each in old],
        "moved": [now.name for _, now in prepared.moved],
        "files": {
            f"{entry.submission.path}/{name}": len(content)
            for name, content in prepared.files.items()
        },
    }


def submission_tables(prepared: Prepared, root: Path, dry_run: bool) -> list[Table | str]:
    """A submission for a person: its row, its tie group, what the sound adds and what changes."""
    from ssl_bench.cli.result_tables import coverage_sentence
    from ssl_bench.cli.terminal import plain_table, with_interval

    entry, standing = prepared.entry, prepared.standing
    told = entry.result.protocol
    rows = [
        [own.measure, with_interval(own), with_interval(full), _change(own, full)]
        for own, full in zip(entry.result.measures, prepared.submitted, strict=True)
    ]
    head = ["percent [95 % interval]", "entry", "file as submitted", "difference"]
    shown: list[Table | str] = [
        _row(entry),
        sound_sentence(entry),
        coverage_sentence(entry.result),
        f"Dialect {told.dialect}, protocol digest {told.digest[:12]}.",
    ]
    if prepared.replaced is not None:
        shown.append(_replaced(prepared.replaced, prepared))
    count = len(prepared.after.standings)
    if standing is None:
        shown.append(f"Its page will not rank it: {entry.apart or 'an oracle sees the truth'}.")
    elif count > 1:
        shown.append(
            f"By {entry.headline.measure}: tie group {standing.group}, rank {standing.best_rank} "
            f"to {standing.worst_rank} of {count}."
        )
    else:
        shown.append(f"By {entry.headline.measure}: the only entry of this protocol.")
    if prepared.tied_with:
        shown.append(f"Not told apart from: {', '.join(prepared.tied_with)}.")
    shown += [
        f"{now.name}: group {was.group} to {now.group}, rank {was.best_rank} to {was.worst_rank} "
        f"before, {now.best_rank} to {now.worst_rank} then."
        for was, now in prepared.moved
    ]
    shown.append(plain_table("All measures, as stored and as submitted", head, rows))
    done = "Would write" if dry_run else "Wrote"
    shown += [
        f"{done} {root / entry.submission.path / name} ({len(content):,} bytes)."
        for name, content in prepared.files.items()
    ]
    return shown


def _replaced(old: Entry, prepared: Prepared) -> Table:
    """The entry that is replaced beside the one that replaces it."""
    from ssl_bench.cli.terminal import plain_table, with_interval

    before = {each.measure: each for each in old.result.measures}
    rows = [
        [
            own.measure,
            with_interval(before[own.measure]) if own.measure in before else "",
            with_interval(own),
            _change(own, before[own.measure]) if own.measure in before else "",
        ]
        for own in prepared.entry.result.measures
    ]
    ranks = [
        f"rank {each.best_rank} to {each.worst_rank}" if each is not None else "not ranked"
        for each in (prepared.before.standings.get(old.slug), prepared.standing)
    ]
    rows.append(["", *ranks, ""])
    title = f"It replaces the entry {old.slug}: {old.card.name}"
    return plain_table(title, ["percent [95 % interval]", "before", "now", "difference"], rows)


def sound_sentence(entry: Entry) -> str:
    """How much of an entry's first measure is hearing."""
    from ssl_bench.scoring.hearing import hearing_sentence

    found = entry.result.hearing
    return hearing_sentence(found[0]) if found else ""


def _row(entry: Entry) -> Table:
    """The row of the page, upright: a line for each headline measure."""
    from ssl_bench.cli.result_tables import hearing_cell
    from ssl_bench.cli.terminal import plain_table, with_interval
    from ssl_bench.scoring.formatting import position

    rows = []
    for own in _headline(entry):
        found = position(entry.result, own.measure)
        share = found.share
        rows.append(
            [
                own.measure,
                with_interval(own),
                "" if found.floor is None else with_interval(found.floor),
                "" if found.ceiling is None else with_interval(found.ceiling),
                "" if share is None else f"{100 * share:.1f} %",
                "" if found.without_sound is None else with_interval(found.without_sound),
                hearing_cell(found.hearing),
            ]
        )
    heads = [
        "percent [95 % interval]",
        "entry",
        "best floor",
        "ceiling",
        "share of that distance",
        "without sound",
        "hearing",
    ]
    kept = [
        place for place in range(len(heads)) if place < 2 or any(cells[place] for cells in rows)
    ]
    return plain_table(
        f"{entry.card.name} on {entry.result.protocol.label}: its row of the page",
        [heads[place] for place in kept],
        [[cells[place] for place in kept] for cells in rows],
    )


def _position(entry: Entry, own: MeasuredValue) -> dict[str, Any]:
    """A headline measure between floor and ceiling, and what the sound adds to it."""
    from ssl_bench.scoring.formatting import position

    found = position(entry.result, own.measure)

    def facts(value: MeasuredValue | None) -> dict[str, Any] | None:
        return None if value is None else value.model_dump(mode="json")

    return {
        "measure": own.measure,
        "entry": facts(own),
        "floor": facts(found.floor),
        "ceiling": facts(found.ceiling),
        "share_of_distance": found.share,
        "without_sound": facts(found.without_sound),
        "best_without": found.best_without,
        "hearing": facts(found.adds),
    }


def _headline(entry: Entry) -> tuple[MeasuredValue, ...]:
    from ssl_bench.leaderboard.assessment import RANKED

    return entry.result.measures[:RANKED]


def _change(own: MeasuredValue, full: MeasuredValue) -> str:
    from ssl_bench.scoring.formatting import scale_of

    if own.value is None or full.value is None:
        return ""
    return f"{scale_of(own.measure) * (own.value - full.value):+.2f}"
