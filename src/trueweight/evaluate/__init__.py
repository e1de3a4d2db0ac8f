"""Opens the test rows: scores, baselines, paired verdicts, and facts about the data's honesty."""
