"""Evidence for people: one HTML page, front matter of a model card, a bill of materials, a map to Annex IV."""
