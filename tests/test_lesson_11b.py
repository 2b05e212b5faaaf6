"""Lesson 11b."""

from test_lesson_11c import output, table  # noqa: F401  other lessons' tests read tables with these
