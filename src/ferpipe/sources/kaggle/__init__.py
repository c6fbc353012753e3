"""A data set on Kaggle: the client in a process of its own, credentials, retries."""
