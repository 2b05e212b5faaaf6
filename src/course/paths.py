"""Where the checkout is."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder with data/, notebooks/ and src/ (the course is installed editable)."""
