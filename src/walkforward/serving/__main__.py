"""`python -m walkforward.serving MODEL_URI` serves a model."""

import sys

try:
    from walkforward.serving.command import main
except ModuleNotFoundError as missing:
    sys.exit(f'Error: walkforward.serving needs {missing.name}: pip install "walkforward[serve]"')

main()
