"""Which data sets may shape our defaults, and which may only judge them. Fixed; a test holds the two apart."""

CALIBRATION = (
    "german-credit", "bikes", "diabetes", "wine", "breast_cancer", "digits", "clothing-reviews", "zh-reviews",
    "cifar10", "emoji", "stamps-photos", "GunPoint", "household-power", "docstrings",
)  # fmt: skip
"""Defaults may be chosen on these."""

BENCHMARK = (
    "adult", "california-housing", "titanic", "messy-titanic", "fashion-mnist", "mnist-5k", "detection", "newsgroups",
    "tweets-sentiment", "austen", "translation-en-es", "translation-en-fr", "summaries", "speech-fr", "speech-es",
    "voice-commands", "electricity-hourly", "beijing-pm25", "BasicMotions", "umls", "kinships", "nations",
    "iris", "affairs", "home-loans", "computer-prices", "male-wages", "doctor-visits", "vehicle-choice",
    "labour-participation", "anes96", "windsor-housing", "diamonds", "health-insurance", "health-experiment",
)  # fmt: skip
"""Report only; their validation rows are included in that."""
