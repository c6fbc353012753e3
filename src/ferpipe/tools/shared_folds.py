"""Folds that several machines share through a DVC remote.

`dvc push --run-cache` pushes which runs there were, but not the outputs that DVC does not cache
(DVC 3.67), and cv/dvc.yaml has only such. So this calls DVC's run cache itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ferpipe.core.errors import PipelineError, one_line

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import PipelineStage


def check_remote() -> None:
    """Raise PipelineError if DVC has no default remote."""
    with _repository() as repository:
        if not repository.config["core"].get("remote"):
            raise PipelineError(
                "DVC has no default remote through which machines could share folds; "
                "docs/remotes.md shows how to add one"
            )


def push(stages: Sequence[str]) -> None:
    """Push the outputs of up-to-date stages, and then the run cache, so that it is never ahead.

    A stage is named as by DVC, such as `cv/dvc.yaml:cv_baseline`.
    """
    with _repository() as repository:
        outputs = set()
        for stage in _load(repository, stages):
            repository.stage_cache.save(stage)
            outputs |= {output.hash_info for output in stage.outs}
        if repository.cloud.push(outputs).failed:
            raise PipelineError("the remote has not taken all files; run it again")
        repository.stage_cache.push(None)


def restore(stages: Sequence[str]) -> None:
    """Restore the outputs of those stages that the run cache, pulled before, has."""
    from dvc.stage.cache import RunCacheNotFoundError

    with _repository() as repository:
        for stage in _load(repository, stages):
            stage.remove_outs(ignore_remove=False, force=False)
            with suppress(RunCacheNotFoundError):
                repository.stage_cache.restore(stage, pull=True)


def _load(repository: Repo, stages: Sequence[str]) -> list[PipelineStage]:
    return [repository.stage.load_one(*name.split(":")) for name in stages]


@contextmanager
def _repository() -> Iterator[Repo]:
    """DVC's repository, locked; what fails in DVC becomes a PipelineError."""
    from dvc.repo import Repo, lock_repo

    try:
        with Repo() as repository, lock_repo(repository):
            yield repository
    except PipelineError:
        raise
    except Exception as error:  # of DVC, of its plugins and of their clients
        raise PipelineError(f"DVC: {one_line(error)}") from error
