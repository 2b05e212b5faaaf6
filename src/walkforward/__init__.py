"""Helpers of the Walk-Forward course: the plumbing behind the lessons."""

from pathlib import Path

__version__ = "0.1.0"

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: the folder with data/, notebooks/ and src/ (the package is installed editable)."""
