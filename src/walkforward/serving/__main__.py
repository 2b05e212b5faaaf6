"""`python -m walkforward.serving MODEL_URI` serves a model."""

import sys

from walkforward.errors import needs_extra

try:
    with needs_extra("serve", "walkforward.serving"):
        from walkforward.serving.command import main
    main()
except ModuleNotFoundError as missing:
    sys.exit(f"Error: {missing}")
