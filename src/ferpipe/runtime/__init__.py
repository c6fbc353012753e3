"""A stage as a process: signals, lock, run log. It cannot change a result, so no stage lists it."""
