"""A ride's duration: what the steps and the checks share."""

from datetime import datetime


def duration(ride):
    """Minutes from pickup to dropoff."""
    pickup, dropoff = (datetime.fromisoformat(ride[name]) for name in ("pickup", "dropoff"))
    return (dropoff - pickup).total_seconds() / 60


def usable(ride):
    """Whether a ride is trained on."""
    return float(ride["miles"]) > 0
