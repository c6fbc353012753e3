"""ferpipe: a facial expression recognition pipeline on DVC."""
