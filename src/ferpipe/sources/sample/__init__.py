"""The built-in sample: drawn faces (people, face, raster)."""
