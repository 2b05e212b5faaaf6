"""Checks of rides.py."""

from rides import duration

RIDE = {"pickup": "2019-01-01 08:00:00", "dropoff": "2019-01-01 08:12:00", "miles": "3"}


def check_a_duration():
    assert duration(RIDE) == 12
