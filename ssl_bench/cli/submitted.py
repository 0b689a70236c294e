"""What ``ssl-bench submit`` prints of an entry: its row of the page, and what would change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from ssl_bench.leaderboard.board import Entry
    from ssl_bench.leaderboard.submit import Prepared
    from ssl_bench.scoring.results import MeasuredValue
    from ssl_bench.statistics.ties import Standing

# Entries that are named of those that a submission moves.
_MOVES = 3


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
        "hearing_with_given_maps": [each.model_dump(mode="json") for each in prepared.hearing],
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
        "removed": list(prepared.removed),
        "history": [each.model_dump(mode="json") for each in entry.card.history],
    }


def submission_tables(prepared: Prepared, root: Path, dry_run: bool) -> list[Table | str]:
    """A submission for a person: its row and rank, who moves, and what to do next."""
    from ssl_bench.cli.result_tables import coverage_sentence, narrow_table

    entry = prepared.entry
    told = entry.result.protocol
    shown: list[Table | str] = [
        *_rank(prepared),
        narrow_table(entry.result)[0],
        sound_sentence(entry),
        *_with_given_maps(prepared),
        coverage_sentence(entry.result),
        f"Dialect {told.dialect}, protocol digest {told.digest[:12]}.",
    ]
    if prepared.replaced is not None:
        shown.append(_replaced(prepared.replaced, prepared))
    shown += [*_moves(prepared), _stored(prepared), *_next_steps(prepared, root, dry_run)]
    return [part for part in shown if part]


def _rank(prepared: Prepared) -> Iterator[str]:
    """The score and where it stands."""
    from ssl_bench.scoring.formatting import format_interval

    entry, standing = prepared.entry, prepared.standing
    count = len(prepared.after.standings)
    own = f"{entry.headline.measure} {format_interval(entry.headline)}"
    if standing is None:
        place = f"not ranked: {entry.apart or 'an oracle sees the truth'}"
    elif count == 1:
        place = "the only entry of this protocol"
    else:
        place = f"group {standing.group}, {_ranks(standing)} of {count}"
    yield f"{entry.card.name} on {entry.result.protocol.label}: {own}, {place}."
    if prepared.tied_with:
        yield f"Tied with: {', '.join(prepared.tied_with)}."


def _ranks(standing: Standing) -> str:
    if standing.best_rank == standing.worst_rank:
        return f"rank {standing.best_rank}"
    return f"rank {standing.best_rank} to {standing.worst_rank}"


def _moves(prepared: Prepared) -> Iterator[str]:
    """The first few of the other entries that get another place."""
    moved = prepared.moved
    for was, now in moved[:_MOVES]:
        yield (
            f"{now.name}: {_ranks(was)} before, {_ranks(now)} then (group {was.group}, then "
            f"{now.group})."
        )
    if len(moved) > _MOVES:
        yield f"{len(moved) - _MOVES} more entries get another rank or group."


def _stored(prepared: Prepared) -> Table | str:
    """What storing the maps changed."""
    from ssl_bench.cli.terminal import plain_table, with_interval
    from ssl_bench.scoring.formatting import unit_of

    pairs = list(zip(prepared.entry.result.measures, prepared.submitted, strict=True))
    if all(own.value == full.value for own, full in pairs):
        return "As stored, it scores what the file as submitted scores."
    rows = [
        [own.measure, with_interval(own), with_interval(full), _change(own, full)]
        for own, full in pairs
    ]
    unit = unit_of(own.measure for own, _ in pairs)
    head = [f"{unit} [95 % interval]", "entry", "file as submitted", "difference"]
    return plain_table("All measures, as stored and as submitted", head, rows)


def _next_steps(prepared: Prepared, root: Path, dry_run: bool) -> Iterator[str]:
    """Which files are written and removed, what to commit, and where to send it."""
    from ssl_bench.leaderboard.submissions import AUDIO_BLIND

    folder = root / prepared.entry.submission.path
    files = ", ".join(
        f"{name} ({len(content):,} bytes)" for name, content in prepared.files.items()
    )
    yield f"{'Would write' if dry_run else 'Wrote'} {folder}: {files}."
    if prepared.removed:
        gone = f"{'Would remove' if dry_run else 'Removed'} {', '.join(prepared.removed)} there"
        blind = ", the model's own audio-blind maps" if AUDIO_BLIND in prepared.removed else ""
        yield f"{gone}{blind}."
    if dry_run:
        yield "Nothing was written. Next: the same command without --dry-run."
    else:
        yield next_step(root, [folder])


def next_step(root: Path, folders: Sequence[Path]) -> str:
    """What to do with folders of a board that were written."""
    place = root.resolve()
    if not any((above / ".git").exists() for above in (place, *place.parents)):
        return f"Next: ssl-bench leaderboard build --board {root}"
    return (
        f"Next: git add {' '.join(map(str, folders))}; commit it alone, and open a pull request to "
        "the main branch of the repository that you cloned. It is checked there as 'ssl-bench "
        f"leaderboard check --entry {folders[0].name}' does."
    )


def _replaced(old: Entry, prepared: Prepared) -> Table:
    """The entry that is replaced beside the one that replaces it."""
    from ssl_bench.cli.terminal import plain_table
    from ssl_bench.scoring.formatting import format_interval, unit_of

    before = {each.measure: each for each in old.result.measures}
    rows = [
        [
            own.measure,
            format_interval(before[own.measure]) if own.measure in before else "",
            format_interval(own),
            _change(own, before[own.measure]) if own.measure in before else "",
        ]
        for own in prepared.entry.result.measures
    ]
    ranks = [
        "not ranked" if each is None else _ranks(each)
        for each in (prepared.before.standings.get(old.slug), prepared.standing)
    ]
    rows.append(["", *ranks, ""])
    title = f"It replaces the entry {old.slug}: {old.card.name}"
    unit = unit_of(each.measure for each in prepared.entry.result.measures)
    return plain_table(title, [f"{unit} [95 % interval]", "before", "now", "difference"], rows)


def sound_sentence(entry: Entry) -> str:
    """How much of an entry's first measure is hearing."""
    from ssl_bench.scoring.hearing import hearing_sentence

    found = entry.result.hearing
    return hearing_sentence(found[0]) if found else ""


def _with_given_maps(prepared: Prepared) -> Iterator[str]:
    """What hearing adds where maps count that the board does not hold."""
    from ssl_bench.scoring.hearing import hearing_sentence

    if not prepared.hearing:
        return
    if prepared.hearing[0] == prepared.entry.result.hearing[0]:
        yield "The maps given by --without do not reach more: the same holds with them."
        return
    yield f"With the maps given by --without: {hearing_sentence(prepared.hearing[0])}"
    yield "The board does not hold these maps: its pages say what stands above."


def _position(entry: Entry, own: MeasuredValue) -> dict[str, Any]:
    """A headline measure between floor and ceiling, and what hearing adds."""
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
    return f"{scale_of(own.measure) * (own.value - full.value):+z.2f}"
