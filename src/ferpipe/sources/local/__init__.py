"""A zip or a folder on this machine."""
