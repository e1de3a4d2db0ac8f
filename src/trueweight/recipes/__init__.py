"""Defaults as data, torch-free: (RunSpec, Facts) -> RunSpec with every choice made."""
