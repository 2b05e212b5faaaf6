"""What changed upstream: names, order, types, units, ranges, categories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from difflib import SequenceMatcher
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from walkforward.drift.columns import Column, column_of, counts_of, shown, types_said
from walkforward.drift.compare import QUIET, compare
from walkforward.drift.frames import MIN_VALUES, SIDES, Frame, names_of, place_of, printed
from walkforward.drift.measures import THRESHOLDS, TINY, Array, merged, missing_share, quantile

_Change = tuple[str, Any, Any, str]
UNITS = {1.609344: "miles, km", 1000: "thousands", 100: "percent, cents", 60: "minutes, seconds"}
UNITS |= {3.28084: "metres, feet", 2.204623: "kg, pounds", 2.54: "inches, cm", 3600: "hours, seconds"}


def schema_report(reference: Frame, current: Frame) -> Frame:
    """What changed upstream, before any statistics: names, order, types, units, ranges, categories.

    Args:
        reference: DataFrame of (rows, columns).
        current: What should be alike, later.

    Returns:
        A row per change, none when nothing changed: `column`, `change` (renamed, lost, new, order, dtype,
        missing, unit, range, category), `reference`, `current`, `reason`. `renamed` and `unit` are guesses
        from names and values. `range` needs more values outside than chance brings (1 in 1,000), or a sign
        that the reference never has; dates move on, so only those before the reference count.

    Raises:
        DriftError: A frame can't be read.

    >>> miles = pd.DataFrame({"distance": np.arange(1.0, 100)})
    >>> schema_report(miles, miles * 1.609344)[["change", "reason"]].to_numpy().tolist()
    [['unit', 'the values are × 1.60934: another unit (miles, km)? A guess']]
    """
    names_of(reference, current, shared=False)
    before, after = list(reference), list(current)
    old = {name: column_of(reference, name) for name in before}
    new = {name: column_of(current, name) for name in after}
    partner = {name: name for name in before if place_of(current, name) is not None}
    lost = [name for name in before if name not in partner]
    added = [name for name in after if name not in partner]
    first = [{name: _head(columns[name]) for name in names} for columns, names in ((old, lost), (new, added))]
    guesses = ((_alike(first[0][a], first[1][b]), a, b) for a in lost for b in added)
    rows: list[tuple[Any, ...]] = []
    for score, a, b in sorted(guesses, key=itemgetter(0)):
        if score < -0.6 and a not in partner and b not in partner.values():
            rows.append((b, "renamed", printed(a), printed(b), "name and values are alike: a guess"))
            partner[a] = b
    no_such = ("the current frame has no such column", "the reference has no such column")
    rows += [(a, "lost", old[a].dtype, "", no_such[0]) for a in lost if a not in partner]
    known = set(partner.values())
    rows += [(b, "new", "", new[b].dtype, no_such[1]) for b in added if b not in known]
    kept = [a for a in before if a in partner], [b for b in after if b in known]
    if [partner[a] for a in kept[0]] != kept[1]:
        rows.append(("", "order", *kept, "whoever takes columns by position reads the wrong one"))
    with np.errstate(**QUIET):
        rows += [(b, *change) for a, b in partner.items() for change in _changes(old[a], new[b])]
    table = [(name, change, str(a), str(b), reason) for name, change, a, b, reason in rows]
    report = pd.DataFrame(table, columns=["column", "change", *SIDES, "reason"])
    return report.astype(dict.fromkeys(SIDES, str))


def _head(column: Column) -> Column:
    """The first 10,000 rows."""
    numbers = None if column.numbers is None else column.numbers[:10_000]
    return replace(column, labels=column.labels.head(10_000), numbers=numbers)


def _alike(old: Column, new: Column) -> float:
    """Minus the likeness of two columns, 0 to -1: half the names', half the values'."""
    row, _, _ = compare(old, new, THRESHOLDS, 10)
    names = [str(side.name).lower().replace("_", "") for side in (old, new)]
    distance = row.get("ks", row.get("tv", 1.0))
    return 0.0 if distance > 0.5 else (distance - 1 - SequenceMatcher(None, *names).ratio()) / 2


def _changes(old: Column, new: Column) -> Iterator[_Change]:
    """The changes of one column: kind of change, reference, current, reason."""
    here, there = old.kind, new.kind
    if old.dtype != new.dtype or (here and there and here != there):
        words = types_said(here, there)
        if (here, there) == ("numeric", "categorical"):
            text = new.labels.dropna().map(str).astype(object)
            read = pd.to_numeric(text, errors="coerce").notna().mean()
            words += f": {read:.0%} of the text can be read as numbers"
        yield "dtype", old.dtype, new.dtype, words
    lost, rows = np.array([[side.missing.sum(), len(side)] for side in (old, new)]).T
    test = missing_share(lost, rows, THRESHOLDS["missing"])
    if test["effect"] >= test["threshold"] and test["p_value"] < 0.001:
        yield "missing", *(f"{share:.1%}" for share in lost / rows), "the share of missing values changed"
    if here and here == there:
        measured = old.measured() and new.measured()
        yield from _of_values(old, new) if measured else _of_categories(old, new)


def _of_categories(old: Column, new: Column) -> Iterator[_Change]:
    counts = counts_of(old, new)
    known, unseen = counts[counts["reference"] > 0], counts[counts["reference"] == 0]
    if len(unseen) and len(known) < len(old) / 2:  # else every row has a value of its own
        share = unseen["current"].sum() / counts["current"].sum()
        names = [printed(shown(name, "date") if old.kind == "date" else name) for name in unseen.index[:5]]
        said = ", ".join(names) + ", …" * (len(unseen) > 5)
        yield "category", f"{len(known)} categories", said, f"never seen before, in {share:.1%} of the rows"


def _of_values(old: Column, new: Column) -> Iterator[_Change]:
    r, c = old.in_order(), new.in_order()
    if not (len(r) and len(c)):
        return
    numeric = old.kind == "numeric"
    unit = _unit(r, c) if numeric and min(len(r), len(c)) >= MIN_VALUES else ""
    if unit:
        yield "unit", f"median {quantile(r, 0.5):.4g}", f"median {quantile(c, 0.5):.4g}", unit
        return
    limits = [f"{shown(v[0], old.kind)} to {shown(v[-1], old.kind)}" for v in (r, c)]
    inside = len(c) / (len(r) + len(c))  # of a value beyond all others: the chance to be a current one
    below, above = int(c.searchsorted(r[0])), len(c) - int(c.searchsorted(r[-1], "right"))
    if below and (inside**below < 0.001 or c[0] < 0 <= r[0]):
        yield "range", *limits, f"{below:,} values below all of the reference"
    if numeric and above and inside**above < 0.001:
        yield "range", *limits, f"{above:,} values above all of the reference"


def _unit(r: Array, c: Array) -> str:
    """The factor of UNITS that explains nearly all of the difference of two sorted samples, in words."""
    old, new = (np.quantile(np.abs(v), [0.5, 0.9]) for v in (r, c))
    limit = min(0.06, merged(r, c).ks / 5)
    for factor, name in UNITS.items():
        for times, sign in ((factor, "×"), (1 / factor, "÷")):
            near = old[1] > 0 and np.all(np.abs(new / times / np.maximum(old, TINY) - 1) < 0.1)
            if near and merged(r * times, c).ks < limit:
                return f"the values are {sign} {factor:g}: another unit ({name})? A guess"
    return ""
