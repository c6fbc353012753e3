"""Stage `train`: train the network; the validation split selects the epoch."""

from __future__ import annotations

import pandas as pd

from ferpipe.core import files, paths, tables
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import records
from ferpipe.model import backend_choice
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.params.train import Train


@exits_cleanly("train")
def main() -> None:
    """Read params and records, train, write model and history."""
    params = read_section(paths.PARAMS, "train", Train)
    run = read_section(paths.PARAMS, "run", Run)
    backend_choice.choose(params.backend)
    from ferpipe.model import saving
    from ferpipe.model.backend import GPUS, NAME
    from ferpipe.model.network import with_probabilities
    from ferpipe.training.checkpoints import Checkpoints, key
    from ferpipe.training.loop import fitted_temperature, train

    schema = records.read_schema(paths.RECORDS)
    selected_on = schema.selected_on
    training, validation = (
        records.read_split(paths.RECORDS, schema, name, run.memory_mb)
        for name in ("train", selected_on)
    )

    device = f"{NAME} on {', '.join(GPUS) or 'the CPU'}"
    print(f"train: {params.backbone}, {len(training.labels)} images, {device}", flush=True)
    checkpoints = Checkpoints(key(params, paths.RECORDS), run.checkpoint_seconds)
    checkpoints.prune()
    model, history, best_epoch = train(
        params, schema, training, validation, checkpoints, run.memory_mb
    )

    best = history[best_epoch - 1]
    temperature = fitted_temperature(model, params, schema, validation)
    saving.save(with_probabilities(model, temperature), paths.TRAINED, schema.classes)
    tables.write_table(paths.HISTORY, pd.DataFrame(history).assign(selected_on=selected_on))
    facts = {"best_epoch": best_epoch, "epochs": len(history), "parameters": model.count_params()}
    facts |= {"temperature": temperature, "selected_on_test": schema.selected_on_test}
    files.write_json(paths.TRAINING, facts)
    metrics = {"val_accuracy": best.val_accuracy, "val_loss": best.val_loss}
    files.write_json(paths.TRAIN_METRICS, metrics)
    checkpoints.remove()
    flag = ", optimistic: selected on test" if schema.selected_on_test else ""
    print(
        f"train: epoch {best_epoch} of {len(history)} kept, accuracy {best.val_accuracy:.2%} on "
        f"{len(validation.labels)} {selected_on} images{flag}; model in {paths.TRAINED}"
    )
