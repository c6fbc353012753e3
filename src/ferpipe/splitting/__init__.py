"""Stratified and grouped assignment to splits and folds, and the leak audit."""
