"""Parts of kind fusion, one file each; they import without torch."""
