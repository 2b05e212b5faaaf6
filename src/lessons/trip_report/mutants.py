"""Wrong versions of a function, each made by one replacement in its source: mutation testing by hand."""

import inspect
import sys
from collections.abc import Callable

SPLIT = {
    "learns from trips under way": ('trips["dropoff_datetime"] <', 'trips["pickup_datetime"] <'),
    "learns from a trip that ends at the cut": ('"dropoff_datetime"] <', '"dropoff_datetime"] <='),
    "loses a trip that begins at the cut": (">= cut", "> cut"),
    "judges by trips under way": ('trips[trips["pickup_', 'trips[trips["dropoff_'),
    "knows late durations early": ("cut - pd", "cut + pd"),
    "forgets that durations are late": (" - pd.Timedelta(days=late)", ""),
    "takes days for hours": ("days=late", "hours=late"),
    "takes a moment for its day": ("< cut -", "< cut.normalize() -"),
    "numbers the rows anew": ("return trips[known]", "return trips[known].reset_index(drop=True)"),
    "drops what has a hole": ("return trips[known]", "return trips[known].dropna()"),
}


def mutants(function: Callable, replacements: dict[str, tuple[str, str]]) -> dict[str, Callable]:
    """The wrong versions of `function`, by what they do wrong."""
    source, made = inspect.getsource(function), {}
    for name, (old, new) in replacements.items():
        if source.count(old) != 1:
            raise ValueError(f"{old!r} is {source.count(old)} times in the source: give it once")
        there = dict(vars(sys.modules[function.__module__]))
        exec(source.replace(old, new), there)
        made[name] = there[function.__name__]
    return made


def caught(tests: Callable, function: Callable) -> bool:
    """Do the tests fail on this version?"""
    try:
        tests(function)
    except Exception:
        return True
    return False
