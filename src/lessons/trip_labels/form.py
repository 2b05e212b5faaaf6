"""A form that asks for one label a record: with buttons, or filled by a stand-in."""

from __future__ import annotations

import statistics
import time

import ipywidgets as widgets
import pandas as pd
from IPython.display import Markdown, display

from lessons.trip_labels.readers import GUIDELINES, read, shown


class Form:
    """The labels of one sheet; `labels` holds yours where you gave one, the stand-in's elsewhere."""

    def __init__(self, sheet: pd.DataFrame, version: int, by_hand: bool) -> None:
        self.sheet, self.version, self.by_hand = sheet, version, by_hand
        self.given: dict[int, str] = {}
        self.times: list[float] = []
        self.rows: list[widgets.ToggleButtons] = []

    def _ipython_display_(self) -> None:
        rules = GUIDELINES[self.version]
        display(Markdown("\n".join(f"{number}. {rule}" for number, rule in enumerate(rules, start=1))))
        if not self.by_hand:
            display(shown(self.sheet))
            return
        self.rows, self.times, lines = [], [time.monotonic()], []
        for record, row in shown(self.sheet).iterrows():
            text = " · ".join(f"{name} {value}" for name, value in row.items())
            buttons = widgets.ToggleButtons(options=["yes", "no"], value=self.given.get(record))
            buttons.observe(lambda change, record=record: self._take(record, change["new"]), names="value")
            self.rows.append(buttons)
            lines.append(widgets.VBox([widgets.HTML(f"<b>{record}</b> · {text}"), buttons]))
        display(widgets.VBox(lines))

    def _take(self, record: int, label: str) -> None:
        self.given[record] = label
        self.times.append(time.monotonic())

    @property
    def labels(self) -> pd.Series:
        """One label a record."""
        labels = read(self.sheet, "stand-in", self.version).rename("you")
        labels.update(pd.Series(self.given, dtype=object))
        return labels

    @property
    def seconds(self) -> float | None:
        """The median time between two of your clicks, or None when you gave fewer than ten labels."""
        gaps = [later - before for before, later in zip(self.times, self.times[1:], strict=False)]
        return statistics.median(gaps) if len(gaps) >= 10 else None

    def __repr__(self) -> str:
        return f"{len(self.given)} of {len(self.sheet)} labels are yours, the others the stand-in's"
