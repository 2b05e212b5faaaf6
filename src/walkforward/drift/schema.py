"""What changed upstream: names, order, types, units, ranges, categories."""

from __future__ import annotations

from difflib import SequenceMatcher
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from walkforward.drift.columns import counts_of, in_order, shown, side_kind, types_said
from walkforward.drift.frames import MIN_VALUES, SIDES, Frame, names_of
from walkforward.drift.hypotheses import QUIET, THRESHOLDS, compare, missing_share
from walkforward.drift.measures import TINY, Array, merged, quantile

UNITS = {1.609344: "miles, km", 1000: "thousands", 100: "percent, cents", 60: "minutes, seconds"}
UNITS |= {3.28084: "metres, feet", 2.204623: "kg, pounds", 2.54: "inches, cm", 3600: "hours, seconds"}


def schema_report(reference: Frame, current: Frame) -> Frame:
    """What changed upstream, before any statistics: a row per change, none when nothing changed.

    Columns: `column`, `change` (renamed, lost, new, order, dtype, missing, unit, range, category),
    `reference`, `current`, `reason`. `renamed` and `unit` are guesses from names and values. `range` needs
    more values outside than chance brings (1 in 1,000), or a sign that the reference never has; dates move
    on, so only those before the reference count. Raises DriftError.
    """
    names_of(reference, current, shared=False)
    rows, partner = [], {name: name for name in reference if name in current}
    lost = [name for name in reference if name not in current]
    new = [name for name in current if name not in reference]
    guesses = ((_alike(reference[a], current[b]), a, b) for a in lost for b in new)
    for score, a, b in sorted(guesses, key=itemgetter(0)):
        if score < -0.6 and a not in partner and b not in partner.values():
            rows.append((b, "renamed", a, b, "name and values are alike: a guess"))
            partner[a] = b
    no_such = ("the current frame has no such column", "the reference has no such column")
    rows += [(a, "lost", reference[a].dtype, "", no_such[0]) for a in lost if a not in partner]
    rows += [(b, "new", "", current[b].dtype, no_such[1]) for b in new if b not in partner.values()]
    before, after = [a for a in reference if a in partner], [b for b in current if b in partner.values()]
    if [partner[a] for a in before] != after:
        rows.append(("", "order", before, after, "whoever takes columns by position reads the wrong one"))
    rows += [(b, *change) for a, b in partner.items() for change in _changes(reference[a], current[b])]
    report = pd.DataFrame(rows, columns=["column", "change", "reference", "current", "reason"])
    return report.assign(**{side: report[side].astype(str) for side in SIDES})


def _alike(old: pd.Series, new: pd.Series) -> float:
    """Minus the likeness of two columns, 0 to -1: half the names', half the values'."""
    row, _ = compare(old.head(10_000), new.head(10_000), False, THRESHOLDS, 10)
    names = [str(side.name).lower().replace("_", "") for side in (old, new)]
    distance = row.get("ks", row.get("tv", 1.0))
    return 0.0 if distance > 0.5 else (distance - 1 - SequenceMatcher(None, *names).ratio()) / 2


@QUIET
def _changes(old: pd.Series, new: pd.Series) -> list[tuple[str, Any, Any, str]]:
    """The changes of one column: kind of change, reference, current, reason."""
    here, there, found = side_kind(old), side_kind(new), []
    if old.dtype != new.dtype or (here and there and here != there):
        words = types_said(here, there)
        if (here, there) == ("numeric", "categorical"):
            read = pd.to_numeric(new.dropna().astype(str), errors="coerce").notna().mean()
            words += f": {read:.0%} of the text can be read as numbers"
        found.append(("dtype", old.dtype, new.dtype, words))
    lost, rows = np.array([[side.isna().sum(), len(side)] for side in (old, new)]).T
    test = missing_share(lost, rows, THRESHOLDS["missing"])
    if test["effect"] >= test["threshold"] and test["p_value"] < 0.001:
        shares = [f"{share:.1%}" for share in lost / rows]
        found.append(("missing", *shares, "the share of missing values changed"))
    if here != there or not here:
        return found
    if here not in ("numeric", "date"):
        counts = counts_of(old, new)
        known, unseen = counts[counts["reference"] > 0], counts[counts["reference"] == 0]
        if len(unseen) and len(known) < len(old) / 2:  # else every row has a value of its own
            share = unseen["current"].sum() / counts["current"].sum()
            names = ", ".join(map(str, unseen.index[:5])) + ", …" * (len(unseen) > 5)
            words = f"never seen before, in {share:.1%} of the rows"
            found.append(("category", f"{len(known)} categories", names, words))
        return found
    r, c = in_order(old, here), in_order(new, here)
    if not (len(r) and len(c)):
        return found
    if here == "numeric" and min(len(r), len(c)) >= MIN_VALUES and (words := _unit(r, c)):
        return [*found, ("unit", f"median {quantile(r, 0.5):.4g}", f"median {quantile(c, 0.5):.4g}", words)]
    limits = [f"{shown(v[0], here)} to {shown(v[-1], here)}" for v in (r, c)]
    below, above = int(c.searchsorted(r[0])), len(c) - int(c.searchsorted(r[-1], "right"))
    for count, way in ((below, "below"), (0 if here == "date" else above, "above")):
        if count and ((len(c) / (len(r) + len(c))) ** count < 0.001 or (way == "below" and c[0] < 0 <= r[0])):
            found.append(("range", *limits, f"{count:,} values {way} all of the reference"))
    return found


def _unit(r: Array, c: Array) -> str:
    """The factor of UNITS that explains nearly all of the difference of two sorted samples, in words."""
    old, new = (np.quantile(np.abs(v), [0.5, 0.9]) for v in (r, c))
    limit = min(0.06, merged(r, c)[0] / 5)
    for factor, name in UNITS.items():
        for times, sign in ((factor, "×"), (1 / factor, "÷")):
            near = old[1] > 0 and np.all(np.abs(new / times / np.maximum(old, TINY) - 1) < 0.1)
            if near and merged(r * times, c)[0] < limit:
                return f"the values are {sign} {factor:g}: another unit ({name})? A guess"
    return ""
