"""What is done with gradients: one part per file."""
