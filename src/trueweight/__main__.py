"""``python -m trueweight``: the same as the command ``trueweight``."""

from trueweight.cli.main import main

main()
