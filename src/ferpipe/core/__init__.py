"""Errors, paths, atomic files, the machine: what everything uses and hardly ever changes."""
