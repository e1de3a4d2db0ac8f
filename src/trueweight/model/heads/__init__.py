"""Parts of kind head, one file each; they import without torch."""
