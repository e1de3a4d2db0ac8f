"""Parts of kind augmentation, one file each; they import without torch."""
