"""Which image has which label: class folders, patterns, and the choice of a layout."""
