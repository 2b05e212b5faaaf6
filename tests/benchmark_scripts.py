"""The scripts of benchmarks/ as modules, for the tests of what they compute and show."""

import importlib.util
import sys

from course.paths import ROOT

FOLDER = ROOT / "benchmarks"


def script(stem):
    """Load benchmarks/<stem>.py under a name of its own: `serving` is also a module of the package."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))  # as when it is run: it imports its neighbours
    spec = importlib.util.spec_from_file_location(f"benchmark_{stem}", FOLDER / f"{stem}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module
