"""Torch-only building blocks. Knows tensors; knows no tables, specs or files."""
