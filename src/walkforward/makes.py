"""What forecasting, drift, the prediction log and the course's loaders ask of a value of whatever make."""

from __future__ import annotations

import numbers
from typing import Any

import pandas as pd


def missing(value: Any) -> bool:
    """Whether it stands for no value: None, pandas' NA and NaT, or NaN."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def whole(value: Any, least: int) -> bool:
    """Whether it is a whole number of Python or NumPy, `least` or more; a truth value is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= least


def between_0_and_1(value: Any) -> bool:
    """Whether it is a number between 0 and 1, such as a level or a rate, and neither of them."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < value < 1
