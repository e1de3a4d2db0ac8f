"""The bundle: a folder that holds a model, its evidence, and what it takes to check both."""
