"""Pictures of a report and of a history."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from walkforward.drift.columns import counts_of, in_order
from walkforward.drift.frames import SIDES, Frame, require
from walkforward.drift.measures import quantile
from walkforward.drift.report import drift_report
from walkforward.plots import PALETTE


def plot_columns(reference: Frame, current: Frame, report: Frame | None = None, n: int = 6) -> plt.Figure:
    """Reference against current: a small panel for each of the `n` worst columns of `report`."""
    report = drift_report(reference, current) if report is None else report
    shown = report[report["column"].isin(list(current))].head(n)
    require(len(shown) > 0, "nothing to show: pass the frames that the report compared, and n of 1 or more")
    across, down = min(3, len(shown)), -(-len(shown) // 3)
    figure = plt.figure(figsize=(2.6 * across, 2.1 * down + 0.4), layout="constrained")
    colors = [PALETTE["blue"], PALETTE["orange"]]
    for place, row in enumerate(shown.to_dict("records"), 1):
        axis = figure.add_subplot(down, across, place)
        sides = [reference[row["column"]], current[row["column"]]]
        if row["kind"] in ("numeric", "date"):
            values = [in_order(side, row["kind"]) for side in sides]
            ends = [quantile(v, q) for v in values if len(v) for q in (0.01, 0.99)]
            edges = np.histogram_bin_edges(ends, 30)
            for v, side, color, style in zip(values, SIDES, colors, ("-", "--"), strict=True):
                share = np.histogram(v, edges)[0] / max(1, len(v))
                axis.stairs(share, edges, color=color, linestyle=style, linewidth=1.8, label=side)
        else:
            counts = counts_of(*sides).rename(lambda name: str(name)[:10])
            shares = counts / counts.sum().clip(lower=1)
            moved = shares.diff(axis=1)["current"].abs().argsort(kind="stable")[::-1][:8]
            shares.iloc[moved].plot.bar(ax=axis, color=colors, width=0.8, rot=45, legend=False)
        gone = f"missing {row['missing_reference']:.0%} → {row['missing_current']:.0%}"
        said = gone if row["test"].startswith("missing") else f"{row['verdict']} ({row['effect']:.2f})"
        axis.set_title(f"{row['column']}: {said}", fontsize=9)
        axis.tick_params(labelsize=8)
    figure.supylabel("share of rows", fontsize=9)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def plot_history(history: Frame, value: str = "effect") -> plt.Figure:
    """A heat map of `value`, columns × periods, from `drift_history`; a dot marks drift."""
    periods = list(dict.fromkeys(history["period"]))
    table = history.pivot(index="column", columns="period", values=[value, "drift"]).astype(float)
    order = table[value].max(axis=1).sort_values(ascending=False, kind="stable").index
    shades, drift = (table.loc[order, name][periods] for name in (value, "drift"))
    figure, axis = plt.subplots(figsize=(6.4, 1.3 + 0.3 * len(order)), layout="constrained")
    figure.colorbar(axis.imshow(shades, aspect="auto", cmap="cividis_r"), label=value)
    y, x = np.nonzero(drift.to_numpy() > 0)
    axis.plot(x, y, "o", color=PALETTE["red"], markersize=4, markeredgecolor="white")
    every = -(-len(periods) // 12)
    axis.set_xticks(range(0, len(periods), every), map(str, periods[::every]), rotation=45, ha="right")
    axis.set_yticks(range(len(order)), map(str, order))
    axis.grid(False)
    seen = [str(period) for period in periods if drift[period].any()]
    first = f", first in {seen[0]}" if seen else ""
    axis.set_title(f"Drift (dots) in {len(seen)} of {len(periods)} periods{first}")
    return figure
