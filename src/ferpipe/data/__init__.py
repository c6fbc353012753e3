"""The data formats: image policy, index, canonical archive, TFRecord shards and folds."""
