"""Column types: one file each, every one a part of kind ``column``."""
