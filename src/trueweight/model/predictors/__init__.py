"""Parts of kind predictor, one file each; they import without torch."""
