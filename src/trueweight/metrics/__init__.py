"""NumPy-only: predictions as distributions, metrics with n and interval, paired comparisons."""
