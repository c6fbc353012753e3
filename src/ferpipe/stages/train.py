"""Stage `train`: fit the network on train; val chooses the epoch that is kept."""

from __future__ import annotations

from dataclasses import astuple

from ferpipe.core import files, paths
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
    from ferpipe.training.loop import calibrated, train

    schema = records.read_schema(paths.RECORDS)
    training = records.read_split(paths.RECORDS, schema, "train")
    chooser = "test" if schema.selected_on_test else "val"
    choosing = records.read_split(paths.RECORDS, schema, chooser)

    device = f"{NAME} on {', '.join(GPUS) or 'the CPU'}"
    print(f"train: {params.backbone}, {len(training.labels)} images, {device}", flush=True)
    checkpoints = Checkpoints(key(params, paths.RECORDS), run.checkpoint_seconds)
    checkpoints.prune()
    model, history, best_epoch = train(params, schema, training, choosing, checkpoints)

    best = history[best_epoch - 1]
    temperature = calibrated(model, params, schema, choosing)
    saving.save(with_probabilities(model, temperature), paths.MODEL, schema.classes)
    rows = ((*astuple(row), chooser) for row in history)
    files.write_csv(paths.HISTORY, paths.HISTORY_COLUMNS, rows)
    facts = {
        "best_epoch": best_epoch,
        "epochs": len(history),
        "parameters": model.count_params(),
        "temperature": temperature,
        "selected_on_test": schema.selected_on_test,
    }
    files.write_json(paths.TRAINING, facts)
    validation = {"val_accuracy": best.val_accuracy, "val_loss": best.val_loss}
    files.write_json(paths.TRAIN_METRICS, validation)
    checkpoints.remove()
    flag = ", optimistic: selected on test" if schema.selected_on_test else ""
    print(
        f"train: epoch {best_epoch} of {len(history)} kept, accuracy {best.val_accuracy:.2%} on "
        f"{len(choosing.labels)} {chooser} images{flag}; model in {paths.MODEL}"
    )
