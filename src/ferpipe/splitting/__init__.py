"""Who trains, who chooses, who tests: grouped stratified assignment, folds, and the leak audit."""
