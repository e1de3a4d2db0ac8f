"""Searches the options that the recipe would decide, inside the training rows."""
