"""The command `ferpipe`: check, preset, runs, compare, verify."""
