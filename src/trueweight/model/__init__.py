"""Encoders, fusion, heads, the Network, and predictors: the only inference path."""
