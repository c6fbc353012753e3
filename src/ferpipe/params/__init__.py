"""The experiment's parameters: the reader and one validated model per section of params.yaml."""
