"""The files of a source: a folder, zip, tar or CSV."""
