"""Lessons by number, and what became of those that were cut into sittings.

A number is a chapter ("13"), a number with a letter one of its sittings ("13b").
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable

from course import progress

# The lessons as they were before each was a sitting of an hour, and what each was cut into. Copies, habits
# and bookmarks still name them.
CUT: dict[str, tuple[str, ...]] = {
    "00_start_here": ("00a_start_here", "00b_before_you_build"),
    "01_pipelines_and_baselines": ("01a_pipelines_and_baselines", "01b_better_models"),
    "03_tracking": ("03a_tracking", "03b_tracking_servers"),
    "04_tuning": ("04a_tuning", "04b_early_stopping_and_pruning"),
    "04b_is_it_better": ("04c_is_it_better", "04d_cheaper_models_and_automl"),
    "05_models_and_flavors": (
        "05a_models_and_flavors",
        "05b_own_models",
        "05c_judged_and_explained",
    ),
    "06_reproducibility": ("06a_reproducibility", "06b_reports_and_records"),
    "06b_packaging": ("06c_packaging", "06d_the_auditor"),
    "07_registry": ("07a_registry", "07b_promotion_and_lineage"),
    "09_serving": ("09a_serving", "09b_deploying"),
    "09b_serving_under_load": (
        "09c_serving_under_load",
        "09d_faster_answers",
        "09e_failing_gracefully",
    ),
    "11a_monitoring": ("11a_monitoring", "11b_alarms"),
    "11b_drift": ("11c_drift", "11d_detectors"),
    "13_time_series_and_walk_forward": ("13a_time_series", "13b_walk_forward"),
    "14_prophet": ("14a_prophet_by_hand", "14b_prophet"),
    "15_xgboost_walk_forward": ("15a_xgboost_walk_forward", "15b_intervals_and_prophet"),
}


def number(stem: str) -> str:
    """Return the number in a lesson's name: "09b" of "09b_deploying"."""
    return stem.split("_")[0]


def chapter(stem: str) -> str:
    """Return the chapter's number: "09" of "09b_deploying" and of "9"; "I1" of "I1_coding"."""
    part = re.match(r"(I?\d+)[a-z]?$", number(stem.strip()), re.IGNORECASE)
    return part[1].upper().zfill(2) if part else ""


def named(name: str, stems: Iterable[str]) -> list[str]:
    """Return which of `stems` a name means: a lesson's own name or number, or all sittings of a chapter.

    "13b_walk_forward", "13b" and "13B" are one sitting, "13" is all of chapter 13, "1" is "01".
    """
    name, known = name.strip().removesuffix(".ipynb"), sorted(stems)
    if name in known:
        return [name]
    if "_" in name or not chapter(name):
        return []
    wanted = chapter(name) + (name[-1].lower() if name[-1].isalpha() else "")
    return [stem for stem in known if number(stem) == wanted] or [
        stem for stem in known if chapter(stem) == wanted
    ]


def cut_into(old: str, stems: Iterable[str]) -> list[str]:
    """Return the sittings that the lesson `old` became, of those that exist; empty when it was not cut."""
    known = set(stems)
    new = CUT.get(old, ())
    return [] if old in known - set(new) else [stem for stem in new if stem in known]


def before(stem: str) -> str:
    """Return the lesson that a sitting was cut from; empty for one that is no part of another."""
    return next((old for old, new in CUT.items() if stem in new), "")


def moved(name: str, stems: Iterable[str]) -> str:
    """Return the line for the full name of a lesson that was cut: where it is now. Empty for another name."""
    old = name.strip().removesuffix(".ipynb")
    became = cut_into(old, stems)
    return f"{old} was cut into sittings: it is {listed(became)} now" if became and old not in became else ""


def renumbered(name: str, stems: Iterable[str]) -> str:
    """Return a line where a number means another sitting than it did when this student used it, else none."""
    known, wanted = sorted(stems), name.strip().lower()
    now = named(name, known)
    for old in CUT:
        became = cut_into(old, known)
        if wanted == number(old) and number(old)[-1].isalpha() and became and not set(now) & set(became):
            with contextlib.suppress(progress.ProgressError):
                if now and any(record["lesson"] == old for record in progress.read()[0]):
                    return f"{wanted} is {now[0]} now; what was {wanted} is {listed(became)}."
    return ""


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence has them: "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
