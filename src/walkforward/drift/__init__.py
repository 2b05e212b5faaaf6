"""Drift: what changed between a reference and a current frame, said only when it is sure and when it matters.

Names, types, units: `schema_report`; each column: `drift_report`; all columns at once: `classifier_drift`.
"""

from walkforward.drift.classifier import ClassifierDrift, classifier_drift
from walkforward.drift.frames import MIN_VALUES, DriftError, DriftWarning
from walkforward.drift.measures import MIN_MISSING, THRESHOLDS
from walkforward.drift.plots import plot_columns, plot_history
from walkforward.drift.report import drift_history, drift_report
from walkforward.drift.schema import UNITS, schema_report

__all__ = [
    "MIN_MISSING",
    "MIN_VALUES",
    "THRESHOLDS",
    "UNITS",
    "ClassifierDrift",
    "DriftError",
    "DriftWarning",
    "classifier_drift",
    "drift_history",
    "drift_report",
    "plot_columns",
    "plot_history",
    "schema_report",
]
