"""The network: backend, backbones, HOG layers, building, saving, losses."""
