"""Maps made elsewhere: a predictions file with numpy alone, as any language can write it.

What is asked and the metadata come from two commands:

  ssl-bench protocols synth --trials --json > trials.json
  ssl-bench protocols synth --meta my-model > meta.json
"""

import json
import sys
from pathlib import Path

import numpy as np

if len(sys.argv) != 4:
    sys.exit("usage: python maps_made_elsewhere.py trials.json meta.json mine.npz")
trials = json.loads(Path(sys.argv[1]).read_text())
meta = Path(sys.argv[2]).read_bytes()
maps = np.random.default_rng(0).random((len(trials), 14, 14), dtype=np.float32)  # yours go here
np.savez_compressed(
    sys.argv[3],
    trial_id=np.array([trial["trial"] for trial in trials]),
    map=maps,
    meta=np.frombuffer(meta, np.uint8),
)
