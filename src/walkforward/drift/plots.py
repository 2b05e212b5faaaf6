"""Pictures of a report and of a history (extra `plots`: Matplotlib)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from walkforward.drift.columns import Column, column_of, counts_of
from walkforward.drift.frames import SIDES, Frame, names_of, place_of, printed, require, whole
from walkforward.drift.measures import quantile
from walkforward.drift.report import drift_report
from walkforward.errors import needs_extra
from walkforward.plots import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = [PALETTE["blue"], PALETTE["orange"]]
_SHOWN = ("column", "kind", "verdict", "effect", "test", "missing_reference", "missing_current")


def plot_columns(reference: Frame, current: Frame, report: Frame | None = None, n: int = 6) -> Figure:
    """Reference against current: a small panel for each of the worst columns.

    Args:
        reference: DataFrame of (rows, columns).
        current: The same columns, later.
        report: What `drift_report` returned for both, worst first; None makes one.
        n: How many panels at most; default 6.

    Returns:
        A Matplotlib figure, three panels a row: the outlines of two histograms between the outer hundredths
        of numbers and dates, the eight categories that moved most otherwise.

    Raises:
        DriftError: The report is none, or has no column of both frames.

    >>> import pandas as pd
    >>> rows = pd.DataFrame({"km": range(150)}).sample(frac=1, random_state=0)
    >>> plot_columns(rows[rows["km"] < 100], rows[rows["km"] >= 50]).axes[0].get_title()
    'km: drift (0.50)'
    """
    with needs_extra("plots", __name__):
        import matplotlib.pyplot as plt

    names_of(reference, current, shared=False)
    report = drift_report(reference, current) if report is None else report
    _table("report", report, *_SHOWN)
    frames = (reference, current)
    there = [None not in [place_of(frame, name) for frame in frames] for name in report["column"]]
    shown = report[there].head(whole("n", n, 0))
    require(len(shown) > 0, "nothing to show: pass the frames that the report compared, and n of 1 or more")
    across, down = min(3, len(shown)), -(-len(shown) // 3)
    figure = plt.figure(figsize=(2.6 * across, 2.1 * down + 0.4), layout="constrained")
    for place, row in enumerate(shown.to_dict("records"), 1):
        axis = figure.add_subplot(down, across, place)
        sides = [column_of(frame, row["column"]) for frame in frames]
        draw = _outlines if row["kind"] in ("numeric", "date") else _bars
        draw(axis, *sides)
        gone = f"missing {row['missing_reference']:.0%} → {row['missing_current']:.0%}"
        said = gone if row["test"].startswith("missing") else f"{row['verdict']} ({row['effect']:.2f})"
        axis.set_title(f"{printed(row['column'])}: {said}", fontsize=9, parse_math=False)
        axis.tick_params(labelsize=8)
    figure.supylabel("share of rows", fontsize=9)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _table(name: str, table: Any, *columns: str) -> None:
    require(isinstance(table, Frame), f"{name} is a {type(table).__name__}: pass what drift_{name} returns")
    lacking = [column for column in columns if column not in table]
    require(not lacking, f"{name} has no column {lacking[:1]}: pass what drift_{name} returns")


def _outlines(axis: Axes, *sides: Column) -> None:
    """The histograms of both, between their outer hundredths."""
    values = [side.in_order() for side in sides]
    ends = [quantile(v, q) for v in values if len(v) for q in (0.01, 0.99)]
    largest = max(map(abs, ends), default=0.0)
    unit = 1.0 if largest < 1e100 else 2.0 ** np.floor(np.log2(largest))  # a figure has no room for more
    edges = np.histogram_bin_edges(np.divide(ends, unit), 30)
    for v, side, color, style in zip(values, SIDES, _COLORS, ("-", "--"), strict=True):
        share = np.histogram(v / unit, edges)[0] / max(1, len(v))
        axis.stairs(share, edges, color=color, linestyle=style, linewidth=1.8, label=side)
    if unit != 1:
        axis.set_xlabel(f"× {unit:.2g}", fontsize=8)


def _bars(axis: Axes, old: Column, new: Column) -> None:
    """The shares of the eight categories that moved most."""
    counts = counts_of(old, new)
    shares = counts / counts.sum().clip(lower=1)
    moved = shares.diff(axis=1)["current"].abs().argsort(kind="stable")[::-1][:8]
    shares = shares.iloc[moved]
    for k, (side, color) in enumerate(zip(SIDES, _COLORS, strict=True)):
        places = np.arange(len(shares)) + (k - 0.5) * 0.4
        axis.bar(places, shares[side], 0.4, color=color, label=side)
    labels = [printed(name)[:10] for name in shares.index]
    axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right", parse_math=False)


def plot_history(history: Frame, value: str = "effect") -> Figure:
    """A heat map of columns × periods; a dot marks drift.

    Args:
        history: What `drift_history` returned.
        value: The column of numbers that gives the shade; default `effect`.

    Returns:
        A Matplotlib figure, the column with the largest value on top.

    Raises:
        DriftError: The history is none, is empty, has a row twice, or has no such number.

    >>> import pandas as pd
    >>> from walkforward.drift import drift_history
    >>> rows = pd.DataFrame({"km": range(150)}).sample(frac=1, random_state=0)
    >>> frames = {"2020-01": rows[rows["km"] < 100], "2020-02": rows[rows["km"] >= 50]}
    >>> plot_history(drift_history(frames["2020-01"], frames)).axes[0].get_title()
    'Drift (dots) in 1 of 2 periods, first in 2020-02'
    """
    with needs_extra("plots", __name__):
        import matplotlib.pyplot as plt

    _table("history", history, "period", "column", "drift")
    known = [name for name in history if pd.api.types.is_numeric_dtype(history[name]) and name != "drift"]
    way = f"take one of {', '.join(map(str, known))}"
    require(value in known, f"value={value!r} is no number of the history: {way}")
    require(len(history) > 0, "the history has no rows: pass what drift_history returns")
    cells: dict[Any, tuple[float, float]] = {}
    for *key, shade, drifted in history[["column", "period", value, "drift"]].itertuples(
        index=False, name=None
    ):
        twice = f"the history has {key[0]!r} twice in {key[1]!r}: pass what drift_history returns"
        require(tuple(key) not in cells, twice)
        cells[tuple(key)] = shade, drifted
    periods, names = (list(dict.fromkeys(history[name])) for name in ("period", "column"))
    largest = dict.fromkeys(names, -np.inf)
    for (name, _), (shade, _) in cells.items():
        largest[name] = max(largest[name], shade)  # NaN is never larger
    names.sort(key=lambda name: (-largest[name], str(name)))
    lines = [[cells.get((name, period), (np.nan, False)) for period in periods] for name in names]
    shades, drift = np.moveaxis(np.array(lines, float), 2, 0)
    figure, axis = plt.subplots(figsize=(6.4, 1.3 + 0.3 * len(names)), layout="constrained")
    drawn = np.where(np.isfinite(shades), shades, np.nan)
    figure.colorbar(axis.imshow(drawn, aspect="auto", cmap="cividis_r"), label=value)
    y, x = np.nonzero(drift > 0)
    axis.plot(x, y, "o", color=PALETTE["red"], markersize=4, markeredgecolor="white")
    every = -(-len(periods) // 12)
    said = [printed(period) for period in periods]
    places = range(0, len(periods), every)
    axis.set_xticks(places, said[::every], rotation=45, ha="right", parse_math=False)
    axis.set_yticks(range(len(names)), list(map(printed, names)), parse_math=False)
    axis.grid(False)
    seen = [said[place] for place in np.unique(x)]
    first = f", first in {seen[0]}" if seen else ""
    axis.set_title(f"Drift (dots) in {len(seen)} of {len(periods)} periods{first}", parse_math=False)
    return figure
