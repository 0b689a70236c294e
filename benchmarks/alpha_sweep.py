"""What mixing with an object prior as EZ-VSL does changes, by the weight of the audio-visual map.

Run ``python benchmarks/alpha_sweep.py``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.analysis.evaluation import run_predict
from ssl_bench.analysis.request import Request
from ssl_bench.models.mixing import EZ_VSL_GUIDANCE, mix
from ssl_bench.predictions import PredictionsMeta, open_predictions, save_predictions
from ssl_bench.protocols.protocol import Protocol, load_protocol
from ssl_bench.scoring.results import Result
from ssl_bench.scoring.run import score_file
from ssl_bench.trials.compositions import open_trials
from ssl_bench.trials.trial import TrialSet

GRID = tuple(round(0.1 * step, 1) for step in range(11))
MEASURES = ("cIoU@0.5", "cIoU(adaptive)@0.5")
TESTS = ("synth", "concat", "type-ab")

Figures = dict[str, float]
Maps = NDArray[np.float32]


def validation_protocol() -> Protocol:
    """Standard trials of the split on which everything is chosen."""
    return load_protocol("synth").on("synth", "val")


def predicted(
    model: str, weights: Path | None, protocol: Protocol, trials: TrialSet, folder: Path
) -> Maps:
    """A model's maps ``(N, h, w)`` in the order of the trials."""
    request = Request(model, weights=weights, folder=folder / model)
    ((_, written),) = run_predict(request, [protocol])
    maps = open_predictions(written.predictions).maps_of(trials.ids)
    return np.stack([maps[trial] for trial in trials.ids]).astype(np.float32)


def scored(maps: Maps, trials: TrialSet, folder: Path) -> Result:
    """Score maps by the protocol."""
    protocol, test_set = trials.protocol, trials.test_set
    meta = PredictionsMeta(
        protocol=protocol.label,
        protocol_digest=protocol.digest,
        test_set=test_set.name,
        test_set_digest=test_set.digest,
        model="mix",
        complete=True,
    )
    path = folder / "mix.npz"
    save_predictions(path, trials.ids, maps, meta)
    return score_file(path, trials).result


def figures_of(result: Result) -> Figures:
    """Figures in percent by column: of all trials, or of either type where it has types."""
    name = result.protocol.name
    parts = {name: result.measures}
    if name == "type-ab":
        types = sorted(result.breakdown["type"].items())
        parts = {f"Type {kind}": measured for kind, measured in types}
    found = {}
    for part, measured in parts.items():
        values = {each.measure: each.value for each in measured}
        for measure in MEASURES:
            value = values[measure]
            found[f"{part} {measure}"] = float("nan") if value is None else 100 * value
    return found


def swept(
    model: str,
    weights: Path | None,
    priors: Sequence[str],
    protocol: Protocol,
    alphas: Sequence[float],
    folder: Path,
) -> Iterator[tuple[str, float, Figures]]:
    """Prior, alpha and figures of every mix on one protocol."""
    trials = open_trials(protocol)
    place = folder / protocol.label.replace("@", "-").replace(":", "-")
    place.mkdir(parents=True)
    audio_visual = predicted(model, weights, protocol, trials, place)
    for prior in priors:
        audio_blind = predicted(prior, None, protocol, trials, place)
        for alpha in alphas:
            yield (
                prior,
                alpha,
                figures_of(scored(mix(audio_visual, audio_blind, alpha), trials, place)),
            )


def table(found: dict[tuple[str, float], Figures]) -> str:
    """One row for each prior and alpha, in Markdown."""
    columns = list(next(iter(found.values())))
    lines = [["prior", "alpha", *columns], ["---"] * (2 + len(columns))]
    for (prior, alpha), figures in found.items():
        lines.append([prior, f"{alpha:g}", *(f"{figures[column]:.1f}" for column in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="ezvsl")
    parser.add_argument("--weights", type=Path, help="other weights than those that ship")
    parser.add_argument("--priors", nargs="+", default=["ogl-l1", "ogl-cls"])
    parser.add_argument("--alphas", nargs="+", type=float, default=list(GRID))
    parser.add_argument("--measure", choices=MEASURES, default=MEASURES[0], help="chosen by")
    given = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        validation = {
            (prior, alpha): figures
            for prior, alpha, figures in swept(
                given.model,
                given.weights,
                given.priors,
                validation_protocol(),
                given.alphas,
                folder,
            )
        }
        print(f"{given.model}, validation split\n\n{table(validation)}\n")
        # The alpha of the highest figure; of several, the one with the largest audio-visual share.
        best = {
            prior: max(
                given.alphas,
                key=lambda alpha: (validation[prior, alpha][f"synth {given.measure}"], alpha),
            )
            for prior in given.priors
        }
        print(f"best alpha on the validation split by {given.measure}: {json.dumps(best)}\n")
        shown = sorted({0.0, EZ_VSL_GUIDANCE.alpha, 1.0, *best.values()})
        tested: dict[tuple[str, float], Figures] = {}
        for name in TESTS:
            for prior, alpha, figures in swept(
                given.model, given.weights, given.priors, load_protocol(name), shown, folder
            ):
                tested.setdefault((prior, alpha), {}).update(figures)
        print(f"{given.model}, test splits, on which nothing was chosen\n\n{table(tested)}")


if __name__ == "__main__":
    main()
