"""Labels in files: tables, rows of pixels, and CK+'s label files."""
