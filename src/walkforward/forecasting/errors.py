"""The errors of forecasting. Each message is one line: series and date, rule, way out."""

from __future__ import annotations

from walkforward.errors import WalkForwardError


class ForecastError(WalkForwardError, ValueError):
    """Input that can't be forecast. The message is one line: series and date, rule, way out."""


class LeakError(ForecastError):
    """Something of the days to be forecast reaches the model. The message names the feature or the days."""
