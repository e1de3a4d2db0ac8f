"""Training: the loop, what fits a member, optimisers, the plan of a run, checkpoints."""
