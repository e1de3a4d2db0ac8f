"""Words on a terminal: each command parses, calls ``api``, prints. One file per command.

Results go to standard output, progress and everything else that is said on the way to standard error.
"""
