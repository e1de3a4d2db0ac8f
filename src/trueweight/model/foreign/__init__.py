"""Models that were trained elsewhere: how they are given rows, and how their answers are understood."""
