"""The compared programs: each module runs as its own process; see `orders.py`."""
