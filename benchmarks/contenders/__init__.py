"""What is compared: each module is a process of its own; see `orders.py`."""
