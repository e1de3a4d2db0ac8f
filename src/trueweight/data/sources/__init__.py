"""Kinds of files that tables are read from: one part per format."""
