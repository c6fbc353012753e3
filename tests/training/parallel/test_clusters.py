import pytest

from ferpipe.training.parallel.clusters import detected

SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_NTASKS": "2",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
}
OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
}


def group(coordinator, processes, process):
    return {
        "FERPIPE_COORDINATOR": coordinator,
        "FERPIPE_PROCESSES": processes,
        "FERPIPE_PROCESS": process,
    }


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {}),
        (SLURM, {}),  # in a batch script, outside `srun`
        (SLURM | {"SLURM_STEP_NODELIST": "n1", "SLURM_NTASKS": "1"}, {}),
        (SLURM | {"SLURM_STEP_NODELIST": "node[003,005-007],x1"}, group("node003:62055", "2", "1")),
        (SLURM | {"SLURM_STEP_NODELIST": "gpu-a,gpu-b"}, group("gpu-a:62055", "2", "1")),
        (OPEN_MPI, group("10.96.0.1:62624", "4", "3")),
    ],
)
def test_groups_of_slurm_and_open_mpi_are_detected_as_jax_does(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = detected()
    assert found.keys() == expected.keys()
    assert found == expected
