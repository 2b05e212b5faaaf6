"""A course of one tiny lesson without a fault, for the tests that spoil it."""

from pathlib import Path

from authoring.build import Course

HEADER = """\
# ---
# jupyter:
#   kernelspec: {display_name: Python 3 (ipykernel), language: python, name: python3}
#   walkforward: {ci: {n: 2}}
# ---
"""
TOP = """
# %% [markdown]
# # 07 · Tiny
# You can count to three after it.
#
# > **You will learn to** count · **Before you start** nothing
# > · **Time** 20 minutes of study · **Interview** one

# %% tags=["parameters"]
n = 3
"""
SCORES = """
# %% name="scores"
import pandas as pd

scores = {"rmse": [5.824, 1.5], "trips": [69_812, 12]}
table = pd.DataFrame(scores, index=["linear", "tree"])
print(f"linear  rmse {table.loc['linear', 'rmse']:.3f} of {n}")
table

# %% [markdown]
# ## The error
# The error is **5.82**<!-- =scores[linear, rmse] --> minutes
# on about 70,000<!-- ~scores[linear, trips] --> trips.
"""
FIGURE = """
# %% name="figure"
import matplotlib.pyplot as plt

plt.figure(figsize=(2, 1))
plt.plot([1, n])
plt.show()

# %% [markdown]
# *Figure: a line that rises from one to three.*
"""
BOTTOM = """
# %%
from course.exercise import TODO

check = type

# %% exercise="double"
# %%
check(double)

# %% exercise="triple"
# %%
check(triple)

# %% [markdown]
# ## Take-aways
# Counting works.
# ## In an interview
# Count.
# ## Up next
# Nothing.
"""
EXERCISES = '''\
from course.exercise import also_right, right


@right
def double(x):
    """Return twice x."""
    return 2 * x


@also_right(double)
def added(x):
    return x + x


@also_right(double)
def summed(x):
    return sum([x, x])


@right
def triple(x):
    """Return thrice x."""
    return 3 * x


@also_right(triple)
def added_twice(x):
    return x + x + x


@also_right(triple)
def three_times(x):
    return sum([x] * 3)
'''


def source(extra: str = "", *, scores: str = SCORES, figure: str = "") -> str:
    """Return a whole lesson; `extra` stands before the exercises."""
    return HEADER + TOP + scores + figure + extra + BOTTOM


def course(root: Path, text: str, stem: str = "07_tiny") -> Course:
    """Write a course with this one lesson under `root` and return it."""
    (root / "src" / "lessons" / "exercises").mkdir(parents=True, exist_ok=True)
    (root / "notebooks").mkdir(exist_ok=True)
    (root / "src" / "lessons" / "exercises" / f"{stem}.py").write_text(EXERCISES, encoding="utf-8")
    (root / "src" / "lessons" / f"{stem}.py").write_text(text, encoding="utf-8")
    return Course(root)
