"""Parts that write, token by token: one file each."""
