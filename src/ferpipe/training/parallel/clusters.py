"""Groups that SLURM and Open MPI start, as JAX detects them."""

from __future__ import annotations

import os

from ferpipe.training.parallel.group import COORDINATOR, PROCESS, PROCESSES

# Variables without which JAX need not be imported: that takes a second.
SIGNS = ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK")


def detected() -> dict[str, str]:
    """The variables of a group that `srun` or `mpirun` has started; empty if none has."""
    if not any(sign in os.environ for sign in SIGNS):
        return {}
    from jax._src.clusters.ompi_cluster import OmpiCluster
    from jax._src.clusters.slurm_cluster import SlurmCluster

    for cluster in (SlurmCluster, OmpiCluster):
        if cluster.is_env_present() and (count := cluster.get_process_count()) > 1:
            port = os.environ.get("JAX_COORDINATOR_PORT")
            return {
                COORDINATOR: cluster.get_coordinator_address(None, port),
                PROCESSES: str(count),
                PROCESS: str(cluster.get_process_id()),
            }
    return {}
