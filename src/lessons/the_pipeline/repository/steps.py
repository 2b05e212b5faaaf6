"""The steps of the pipeline: `python steps.py test train`; a step that fails ends it."""

import csv
import hashlib
import importlib
import json
import subprocess
import sys
from pathlib import Path
from statistics import linear_regression, mean, median

from rides import duration, usable

ROWS, MODEL = Path("build/rows.json"), Path("build/model.json")
PACKED, DIGEST = Path("dist/model.json"), Path("dist/model.sha256")


def test():
    """Call each check_… of each check_….py."""
    for path in sorted(Path().glob("check_*.py")):
        module = importlib.import_module(path.stem)
        for name in sorted(vars(module)):
            if name.startswith("check_"):
                try:
                    getattr(module, name)()
                except AssertionError:
                    sys.exit(f"test: {name} of {path} fails")
                print(f"test: {name} passes")


def rows():
    """The usable rides as (miles, duration); made once and kept in build/, which CI may cache."""
    if not ROWS.exists():
        with Path("rides.csv").open(newline="", encoding="utf-8") as file:
            kept = [(float(ride["miles"]), duration(ride)) for ride in csv.DictReader(file) if usable(ride)]
        write(ROWS, json.dumps(kept))
    return json.loads(ROWS.read_text(encoding="utf-8"))


def train():
    """A training in miniature: does it run to the end, beat the median, and answer the same when loaded?"""
    rides = rows()
    known, later = rides[: len(rides) * 7 // 10], rides[len(rides) * 7 // 10 :]
    slope, start = linear_regression(*zip(*known, strict=True))
    write(MODEL, json.dumps({"slope": slope, "start": start}))
    loaded = json.loads(MODEL.read_text(encoding="utf-8"))
    error = mean(abs(took - loaded["start"] - loaded["slope"] * miles) for miles, took in later)
    usual = median(took for _, took in known)
    baseline = mean(abs(took - usual) for _, took in later)
    print(f"train: {len(rides)} rides, MAE {error:.2f}, of the median {baseline:.2f}")
    if error >= baseline:
        sys.exit("train: the model is no better than the median")


def package():
    """Put the model into dist/, with its digest."""
    if not MODEL.exists():
        train()
    write(PACKED, MODEL.read_text(encoding="utf-8"))
    write(DIGEST, digest())
    print("package: dist/model.json and its digest")


def release():
    """Hand out what was packaged, and nothing else, from a commit that has a tag."""
    done = subprocess.run(["git", "describe", "--exact-match"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit("release: refused, this commit has no tag")
    if digest() != DIGEST.read_text(encoding="utf-8"):
        sys.exit("release: refused, dist/model.json is not what was packaged")
    print(f"release: {done.stdout.strip()}")


def digest():
    return hashlib.sha256(PACKED.read_bytes()).hexdigest()


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for step in sys.argv[1:]:
        {"test": test, "train": train, "package": package, "release": release}[step]()
