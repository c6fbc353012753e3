"""Words and pictures: figures, the report's page, the model card, provenance."""
