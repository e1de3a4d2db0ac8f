"""How weights are found: one part per file."""
