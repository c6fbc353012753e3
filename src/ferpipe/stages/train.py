"""Stage `train`: train the network; the validation split selects the epoch."""

from __future__ import annotations

import os

import pandas as pd

from ferpipe.core import files, paths, tables
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import records
from ferpipe.model import backend_choice
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.params.train import Train
from ferpipe.training.parallel import computing
from ferpipe.training.parallel.coordinator import lead
from ferpipe.training.parallel.facts import facts
from ferpipe.training.parallel.group import PROCESS, from_environment


@exits_cleanly("train")
def main() -> None:
    """Train here, or as process 0 of the processes that the environment names."""
    group = from_environment(os.environ)
    if group.processes == 1:
        compute()
        return
    if group.process != 0:
        raise PipelineError(f"{PROCESS} = {group.process}: run `ferpipe train` for this process")
    lead(group, facts(group.processes), "ferpipe.stages.train")


def compute() -> None:
    """Read params and records, train, write model and history."""
    params = read_section(paths.PARAMS, "train", Train)
    run = read_section(paths.PARAMS, "run", Run)
    backend_choice.choose(params.backend)
    from ferpipe.model import devices, saving
    from ferpipe.model.network import with_probabilities
    from ferpipe.training.checkpoints import Checkpoints, key
    from ferpipe.training.loop import fitted_temperature, train

    schema = records.read_schema(paths.RECORDS)
    selected_on = schema.selected_on
    training, validation = (
        records.read_split(paths.RECORDS, schema, name, run.memory_mb)
        for name in ("train", selected_on)
    )

    device = devices.description()
    print(f"train: {params.backbone}, {len(training.labels)} images, {device}", flush=True)
    run_key = devices.from_first(key(params, paths.RECORDS).encode()).decode()
    checkpoints = Checkpoints(run_key, run.checkpoint_seconds)
    if devices.is_first():
        checkpoints.prune()
    model, history, best_epoch = train(
        params, schema, training, validation, checkpoints, run.memory_mb
    )

    best = history[best_epoch - 1]
    temperature = fitted_temperature(model, params, schema, validation)
    if not devices.is_first():
        return
    saving.save(with_probabilities(model, temperature), paths.TRAINED, schema.classes)
    tables.write_table(paths.HISTORY, pd.DataFrame(history).assign(selected_on=selected_on))
    about = {"best_epoch": best_epoch, "epochs": len(history), "parameters": model.count_params()}
    about |= {"temperature": temperature, "selected_on_test": schema.selected_on_test}
    files.write_json(paths.TRAINING, about)
    metrics = {"val_accuracy": best.val_accuracy, "val_loss": best.val_loss}
    files.write_json(paths.TRAIN_METRICS, metrics)
    checkpoints.remove()
    flag = ", optimistic: selected on test" if schema.selected_on_test else ""
    print(
        f"train: epoch {best_epoch} of {len(history)} kept, accuracy {best.val_accuracy:.2%} on "
        f"{len(validation.labels)} {selected_on} images{flag}; model in {paths.TRAINED}"
    )


if __name__ == "__main__":  # the process that computes, see `training.parallel.computing`
    computing.run(compute)
