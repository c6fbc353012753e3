"""Fit a tiny network from given weights, on either backend: `from_weights.py BACKEND START END`.

The backend draws initial weights and dropout, NumPy everything else: from the same weights and
without dropout both backends train alike, except for rounding.
"""

import json
import sys
from dataclasses import asdict

import numpy as np

from ferpipe.model import backend_choice

if __name__ == "__main__":
    backend_choice.choose(sys.argv[1])

from networks import bars, train_params

from ferpipe.model.backend import NAME, prepare
from ferpipe.model.network import build_model
from ferpipe.params.train import Augment
from ferpipe.training.epoch import run_epoch
from ferpipe.training.loop import phases
from ferpipe.training.phase import compile_phase

AUGMENT = Augment(flip=True, rotate=10.0, shift=0.1, zoom=0.1, contrast=0.2)


def fit(start, end):
    """Return the history of two epochs as dicts; write the final weights to `end`."""
    params = train_params(backend=NAME, augment=AUGMENT, dropout=0.0, learning_rate=1e-3)
    prepare(params.seed)
    model = build_model(params, 16, 1, classes=3)
    with np.load(start) as weights:
        model.set_weights([weights[name] for name in weights.files])
    (phase,) = phases(params)
    task = compile_phase(model, params, phase, bars(50, seed=1), bars(30, seed=2))
    history = [run_epoch(task, params, phase, n, n) for n in range(params.epochs)]
    np.savez(end, *model.get_weights())
    return [asdict(row) for row in history]


if __name__ == "__main__":
    print(json.dumps(fit(*sys.argv[2:])))
