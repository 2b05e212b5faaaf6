"""What is proved once a week and not at each push: `make test WEEKLY=1`."""

import os

import pytest

WEEKLY = os.environ.get("WALKFORWARD_WEEKLY") == "1"


def weekly(why: str) -> pytest.MarkDecorator:
    """Mark a test that runs weekly; `why` says what proves the same, or nearly, at each push."""
    return pytest.mark.skipif(not WEEKLY, reason=f"weekly (make test WEEKLY=1): {why}")
