"""Where images come from: each module turns its source into the canonical archive."""
