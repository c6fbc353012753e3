"""The sources of images: one package per source, with `fetch` in its `source.py`."""
