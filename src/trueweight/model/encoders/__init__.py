"""Parts of kind encoder, one file each; they import without torch."""
