"""What lies on disk: image policy, index, canonical archive, TFRecord shards and folds."""
