"""What a predictions file is: members, metadata and limits.

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
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from ssl_bench.errors import ModelError
from ssl_bench.schemas import Strict, quoted

FORMAT: Literal["ssl-bench-predictions/1"] = "ssl-bench-predictions/1"


class Member(NamedTuple):
    """What one array of a file must be: kinds of dtype, bytes of a number, axes; and in words."""

    kinds: str
    max_bytes: int | None
    n_axes: int
    wanted: str


_EMBEDDING = Member("f", 8, 2, "floating-point numbers of shape (N, d)")
MEMBERS: Mapping[str, Member] = {
    "trial_id": Member("U", None, 1, "unicode text of shape (N,)"),
    "map": Member("f", 4, 3, "float16 or float32 of shape (M, h, w)"),
    "meta": Member("u", 1, 1, "uint8 of shape (bytes,)"),
    "map_index": Member("iu", 8, 1, "integers of shape (N,)"),
    "score": Member("f", 8, 1, "floating-point numbers of shape (N,)"),
    "image_embedding": _EMBEDDING,
    "audio_embedding": _EMBEDDING,
    "similarity": Member("f", 4, 2, "float16 or float32 of shape (N, N)"),
}
EMBEDDINGS = ("image_embedding", "audio_embedding")
ROW_MEMBERS = ("score", *EMBEDDINGS, "similarity")
"""Members with one row of floating-point numbers for each trial."""


def can_retrieve(members: Collection[str]) -> bool:
    """Whether a file with these members answers protocols that ask for a ranking."""
    return "similarity" in members or set(EMBEDDINGS) <= set(members)


_Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,128}$")]


@dataclass(frozen=True)
class Limits:
    """The largest file that is read; anything larger is reported, not allocated.

    `total_bytes` (after decompression) and `trials` are of all shards together; `side` is the
    height and width of a map in pixels, `id_length` in characters, `embedding_width` in numbers.
    """

    total_bytes: int = 8 * 2**30
    trials: int = 1_000_000
    shards: int = 10_000
    side: int = 1024
    id_length: int = 200
    embedding_width: int = 4096
    meta_bytes: int = 2**20


LIMITS = Limits()


class PredictionsMeta(Strict):
    """Where the predictions come from.

    Attributes
    ----------
    protocol, protocol_digest, test_set, test_set_digest
        What was answered, and on what.
    trials_digest
        ``TrialSet.digest``: the file answers every protocol with these trials. None in older files.
    model, weights_digest
        Name of the model, and SHA-256 of its weights; None where it has none.
    complete
        The author states that the model will never produce more for the protocol: a missing trial
        then counts as a failure. While False, it is a mistake in the file.
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


def usable_name(name: str) -> str:
    """The name of a model, if metadata can store it; raises ModelError otherwise."""
    try:
        return TypeAdapter(_Name).validate_python(name)
    except ValidationError:
        raise ModelError(
            f"a model cannot be called {quoted(name)}",
            code="E_MODEL_NAME",
            remedy="give it a name of 1 to 200 printable characters",
        ) from None


def is_valid_id(name: str, limits: Limits = LIMITS) -> bool:
    """Whether `name` may be a trial id: not empty, not too long, printable characters only."""
    return 0 < len(name) <= limits.id_length and name.isprintable()
