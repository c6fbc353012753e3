"""From elsewhere to the canonical archive: a package a source, with `fetch` in its `source.py`."""
