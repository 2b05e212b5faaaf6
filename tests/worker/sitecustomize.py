"""Runs as a worker of the whole run starts, before its plugins: nbval imports nbformat, and that jsonschema.

jsonschema would make the grammar of IRIs, a second in which no test runs; no notebook is checked for one.
What a test starts has the grammar: a worker is known by the command with which execnet starts it.
"""

import sys

if "exec(eval(sys.stdin.readline()))" in sys.orig_argv[-1]:
    sys.modules["rfc3987_syntax"] = None
