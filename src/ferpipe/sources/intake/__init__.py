"""Listing a zip or a folder safely, finding its class folders, repacking it canonically."""
