"""What a predictions file is: members, metadata, limits, and the words for what is wrong with one.

Version 1 is a zip of ``.npy`` members (what :func:`numpy.savez_compressed` writes), without pickled
objects; a single file, or a folder of such files (shards) that agree in their metadata.

Members
-------
trial_id
    ``(N,)`` unicode: the trials, in any order, each once.
map
    ``(M, h, w)`` float16 or float32, any h, w >= 1: heat maps, higher = more likely to sound.
    Needed by every protocol but retrieval.
map_index
    ``(N,)`` integer, optional: trial i has the map row ``map_index[i]``, so trials can share a
    map. Without it M = N and trial i has row i.
score
    ``(N,)`` float, optional: confidence that anything sounds.
image_embedding, audio_embedding
    ``(N, d)`` float, optional: for retrieval, where their cosine ranks.
similarity
    ``(N, N)`` float16 or float32, optional: for retrieval, in place of embeddings. Row i is the
    image of trial i, column j the sound of trial j, both in the order of ``trial_id`` (of all
    shards, in the order of their names).
meta
    ``(bytes,)`` uint8: a UTF-8 JSON object, see :class:`PredictionsMeta`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from ssl_bench.errors import ModelError
from ssl_bench.schemas import Strict, quoted

FORMAT: Literal["ssl-bench-predictions/1"] = "ssl-bench-predictions/1"

REQUIRED_MEMBERS = ("trial_id", "meta")
ROW_MEMBERS = ("score", "image_embedding", "audio_embedding", "similarity")
"""Members with one row of floating-point numbers for each trial."""
MEMBERS = ("trial_id", "map", "meta", "map_index", *ROW_MEMBERS)


def can_localize(members: Collection[str]) -> bool:
    """Whether a file with these members answers protocols that ask for maps."""
    return "map" in members


def can_retrieve(members: Collection[str]) -> bool:
    """Whether a file with these members answers protocols that ask for a ranking.

    Examples
    --------
    >>> can_retrieve({"similarity"}), can_retrieve({"map", "image_embedding"})
    (True, False)
    """
    return "similarity" in members or {"image_embedding", "audio_embedding"} <= set(members)


_Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,128}$")]


@dataclass(frozen=True)
class Limits:
    """The largest file that is read; anything larger is reported, not allocated.

    Attributes
    ----------
    total_bytes
        Size after decompression, of all shards together.
    trials
        Number of trials, of all shards together.
    shards
        Number of files in a folder.
    side
        Height and width of a map, in pixels.
    id_length
        Characters of a trial id.
    embedding_width
        Numbers in one embedding.
    meta_bytes
        Bytes of the metadata.
    """

    total_bytes: int = 8 * 2**30
    trials: int = 1_000_000
    shards: int = 10_000
    side: int = 1024
    id_length: int = 200
    embedding_width: int = 16_384
    meta_bytes: int = 2**20


LIMITS = Limits()


class PredictionsMeta(Strict):
    """Where the predictions come from.

    Attributes
    ----------
    format
        Name and version of the format.
    protocol, protocol_digest
        The protocol that was answered.
    trials_digest
        Digest of the trials (``TrialSet.digest``): the file answers every protocol that asks the
        same, whatever its measures. None in older files.
    test_set, test_set_digest
        The test set that it was answered on.
    model
        Name of the model.
    weights_digest
        SHA-256 of its weights; None where it has none.
    complete
        The author states that this is everything that the model will ever produce for the protocol:
        a trial that is missing then counts as a failure. While False, a missing trial is a mistake
        in the file.
    provenance
        Further facts worth keeping (preset, seed, library versions); not interpreted.

    Examples
    --------
    >>> meta = PredictionsMeta(
    ...     protocol="synth", protocol_digest="0" * 64, test_set="synth",
    ...     test_set_digest="1" * 64, model="center", complete=True)
    >>> PredictionsMeta.model_validate_json(meta.to_bytes()) == meta
    True
    """

    format: Literal["ssl-bench-predictions/1"] = FORMAT
    protocol: _Name
    protocol_digest: _Digest
    trials_digest: _Digest | None = None
    test_set: _Name
    test_set_digest: _Digest
    model: _Name
    weights_digest: _Digest | None = None
    complete: bool
    provenance: dict[str, Any] = Field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The canonical bytes of the ``meta`` member: UTF-8 JSON with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()


ProblemKind = Literal[
    "unreadable",
    "too-large",
    "member",
    "type",
    "shape",
    "damaged",
    "not-finite",
    "map-index",
    "meta",
    "protocol",
    "protocol-digest",
    "test-set",
    "test-set-digest",
    "shards",
    "bad-ids",
    "duplicate-ids",
    "unknown-ids",
    "missing-ids",
]

_SHOWN_IDS = 5


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a predictions file.

    Attributes
    ----------
    kind
        What sort of problem, for programs.
    message
        What is wrong, as a sentence without a full stop.
    remedy
        What to do about it, as a sentence without a full stop.
    where
        The file or shard.
    ids
        The first few trials concerned.
    count
        How many trials are concerned; 0 where it is the file as a whole.

    Examples
    --------
    >>> print(Problem("unknown-ids", "these trials are not in the protocol",
    ...     "remove them", "a.npz", ids=("x1", "x2"), count=7))
    a.npz: these trials are not in the protocol: 'x1', 'x2' and 5 more. Remove them.
    """

    kind: ProblemKind
    message: str
    remedy: str
    where: str
    ids: tuple[str, ...] = ()
    count: int = 0

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"

    @property
    def text(self) -> str:
        """The problem and its remedy, without the file."""
        text = self.message
        if self.ids:
            text += ": " + ", ".join(quoted(name) for name in self.ids)
            if self.count > len(self.ids):
                text += f" and {self.count - len(self.ids):,} more"
        return f"{text}. {self.remedy[0].upper()}{self.remedy[1:]}."


def about_ids(
    kind: ProblemKind, message: str, remedy: str, where: str, ids: Sequence[str]
) -> Problem:
    """A problem that concerns `ids`, of which the first few are kept."""
    return Problem(kind, message, remedy, where, tuple(ids[:_SHOWN_IDS]), len(ids))


def usable_name(name: str) -> str:
    """The name of a model, if metadata can hold it; raises ModelError otherwise.

    Examples
    --------
    >>> usable_name("my-model")
    'my-model'
    """
    try:
        return TypeAdapter(_Name).validate_python(name)
    except ValidationError:
        raise ModelError(
            f"a model cannot be called {quoted(name)}",
            remedy="give it a name of 1 to 200 characters, without line breaks and their like",
        ) from None


def is_valid_id(name: str, limits: Limits = LIMITS) -> bool:
    r"""Whether `name` may be a trial id: not empty, not too long, printable characters only.

    Examples
    --------
    >>> is_valid_id("video_000030"), is_valid_id("two\nlines"), is_valid_id("")
    (True, False, False)
    """
    return 0 < len(name) <= limits.id_length and name.isprintable()
