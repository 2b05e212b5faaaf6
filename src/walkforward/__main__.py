"""`python -m walkforward` is the `walkforward` command."""

from walkforward.cli import main

main()
