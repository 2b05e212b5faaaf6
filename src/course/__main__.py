"""`python -m course` is the `walkforward` command."""

from course.cli import main

main()
