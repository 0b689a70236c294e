"""The form of an entry: what can be said of it before anything is scored, with no test set."""

from __future__ import annotations

from pathlib import Path

from ssl_bench.errors import SslBenchError
from ssl_bench.files import sha256_of_file
from ssl_bench.leaderboard.assess import shipped_protocol
from ssl_bench.leaderboard.compact import MOST_BYTES
from ssl_bench.leaderboard.entry import Entry, RemadePredictions, StoredPredictions
from ssl_bench.leaderboard.evidence import RANKED
from ssl_bench.leaderboard.places import entry_path, predictions_path, protocol_folder
from ssl_bench.models.registry import list_baselines, load_baseline
from ssl_bench.protocols.protocol import Protocol
from ssl_bench.scoring.aggregate import n_replicates
from ssl_bench.scoring.run import measures_of


def is_outdated(entry: Entry, protocol: Protocol) -> bool:
    """Whether an entry was made for another version of its protocol than the one that ships."""
    return entry.protocol_digest != protocol.digest


def form_problems(path: str, entry: Entry) -> list[str]:
    """Where an entry does not belong where it is, or is none of its protocol.

    Parameters
    ----------
    path
        Where it lies on the board.
    entry
        The entry.

    Returns
    -------
    list of str
        Sentences without a full stop; none where it can be ranked or, made for an older version of
        its protocol, be shown.
    """
    try:
        protocol = shipped_protocol(entry.protocol)
    except SslBenchError as error:
        return [error.problem]
    found = []
    folder = protocol_folder(protocol)
    if path != entry_path(folder, entry.slug):
        found.append(f"this entry belongs into {entry_path(folder, entry.slug)}")
    for reference, blind in ((entry.predictions, False), (entry.vision_only, True)):
        own = predictions_path(folder, entry.slug, blind=blind)
        if isinstance(reference, StoredPredictions) and reference.path != own:
            found.append(f"its predictions belong into {own}, and it names another file")
    if not is_outdated(entry, protocol):
        return found + _measured_otherwise(entry, protocol)
    if entry.result.protocol.version >= protocol.version:
        found.append(
            f"it was made for another version of the protocol {entry.protocol} (digest "
            f"{entry.protocol_digest[:12]}, not {protocol.digest[:12]}) and says that it is "
            f"version {entry.result.protocol.version}; the one that ships is {protocol.version}"
        )
    return found


def _measured_otherwise(entry: Entry, protocol: Protocol) -> list[str]:
    """Where measures, or what ranks them, are not those of the protocol."""
    asked = measures_of(protocol)
    if [each.measure for each in entry.result.measures] != [str(each) for each in asked]:
        return [f"its measures are not those of the protocol: {', '.join(protocol.measures)}"]
    drawn = entry.evidence.replicates
    if [each.measure for each in drawn] != [str(each) for each in asked[:RANKED]]:
        return ["its replicates are not of the protocol's first measures"]
    return [
        f"{each.array().size:,} replicates of {each.measure}, and there are {most:,}"
        for each, measure in zip(drawn, asked, strict=False)
        if each.array().size not in (0, most := n_replicates(measure))
    ]


def file_problems(root: Path, entry: Entry) -> list[str]:
    """Where the predictions that an entry names are not there, or others.

    Parameters
    ----------
    root
        The board.
    entry
        An entry whose files lie where they belong.
    """
    found = []
    for reference in (entry.predictions, entry.vision_only):
        if isinstance(reference, StoredPredictions):
            found += _stored_otherwise(root, reference)
        elif isinstance(reference, RemadePredictions):
            shipped = reference.model in list_baselines()
            if not shipped or load_baseline(reference.model).card.modality != "trivial":
                found.append("only maps of an annotation-only baseline that ships are made again")
    return found


def _stored_otherwise(root: Path, reference: StoredPredictions) -> list[str]:
    path = root / reference.path
    if not path.is_file() or path.is_symlink():
        return [f"the predictions {reference.path} are missing"]
    size = path.stat().st_size
    if size > MOST_BYTES:
        return [f"the predictions have {size:,} bytes, and {MOST_BYTES:,} are allowed"]
    digest = sha256_of_file(path)
    if (size, digest) == (reference.bytes, reference.sha256):
        return []
    return [
        f"the predictions are not those of the entry (stored {reference.bytes:,} bytes, digest "
        f"{reference.sha256[:12]}; found {size:,} bytes, digest {digest[:12]})"
    ]
