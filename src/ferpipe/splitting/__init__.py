"""Stratified grouped assignment of the images to splits and folds, and the leak audit."""
