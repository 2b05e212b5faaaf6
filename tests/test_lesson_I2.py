"""I2, design: the numbers on the back of the envelope are right, and the surprises are in the outputs."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np

from authoring.marks import tables_of, text_of

NOTEBOOK = nbformat.read(Path(__file__).resolve().parents[1] / "notebooks" / "I2_design.ipynb", as_version=4)
CELLS = {cell.id: cell for cell in NOTEBOOK.cells}
PROSE = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


def column(name, title):
    """Return a column of the one table that a cell shows, a number a row, in the order of the rows."""
    (table,) = tables_of(CELLS[name])
    return [float(row[table.columns.index(title)]) for row in table.body]


def number(name, pattern):
    return float(re.search(pattern, text_of(CELLS[name]))[1].replace(",", ""))


def test_the_envelope_multiplies():
    assert number("endpoint", r"([\d,]+) requests") == round(10_000 * 200 / 1800)
    rows = 10_000 * 200 * 14
    assert number("envelope", r"(\d+) million rows") == rows / 1e6
    a_row = number("envelope", r"(\d+) bytes")
    assert number("envelope", r"(\d+) MB a night") == rows * a_row / 1e6
    assert number("envelope", r"(\d+) GB a year") == round(rows * a_row * 365 / 1e9)
    assert number("minutes", r"predicting: ([\d.]+)") == round(rows / 100_000 / 60, 1)


def test_the_newsvendor_order_is_the_cheapest_by_trying_all():
    demand = np.random.default_rng(99).negative_binomial(
        8, 8 / 28, 200_000
    )  # gamma-Poisson by its other name
    costs = [np.maximum(n - demand, 0).mean() + 4 * np.maximum(demand - n, 0).mean() for n in range(10, 46)]
    mean, _, basket, newsvendor = column("quantity", "order")
    assert costs[int(newsvendor) - 10] < min(costs) + 0.02 and mean == 20 < basket < newsvendor  # flat there
    shown = column("quantity", "cost a day")
    assert shown[3] == min(shown) and abs(shown[3] - min(costs)) < 0.3


def test_learning_from_sales_orders_too_little_and_dropping_days_is_worse():
    sales, dropped, censored, true = column("spiral", "order")
    assert dropped < sales / 2 and sales < true - 2 and abs(censored - true) < 1.5
    costs = column("spiral", "cost a day")
    assert costs[1] > 3 * costs[3] and costs[3] < costs[2] < costs[0]


def test_each_rule_is_cheaper_than_the_one_before_and_the_model_by_little():
    costs = column("backtest", "cost a day")
    assert all(after < before for before, after in pairwise(costs))
    assert costs[3] - costs[4] < 0.03 * costs[3] < costs[0] - costs[3]


def test_an_empty_shelf_is_no_measure_of_too_few():
    """The shelf is empty when demand reaches the order: more often than q says, by article."""
    too_few, empty = column("visible", "too few"), column("visible", "shelf empty")
    assert all(few <= 0.2 < shelf for few, shelf in zip(too_few, empty, strict=True))
    width = max(column("visible", "± over all shops"))
    assert max(empty) - min(empty) > 10 * width, "one limit can't fit all"
    *_, true = column("spiral", "days sold out")
    assert abs(empty[3] - true) < 0.02, "the share of the simulation, at the same mean"
    rounded_up = column("backtest", "days with too few")[3:]  # orders are whole pieces
    assert all(share < 0.2 for share in rounded_up)


def test_an_old_table_is_a_fallback():
    tonight, _, week, none = column("stale", "cost a day")
    assert tonight <= week < 1.02 * tonight and none > 5 * week


def test_the_four_steps_have_their_minutes():
    minutes = [int(n) for n in re.findall(r"^\| \*\*\d [\w ]+\*\* \| (\d+) \|", PROSE, re.MULTILINE)]
    assert len(minutes) == 4 and sum(minutes) == 45
    for step in ("Frame", "Data and baseline", "System", "Operate"):
        assert re.search(rf"^## Step \d: {step}$", PROSE, re.MULTILINE)


def test_each_card_is_of_the_design_bank():
    cards = re.findall(r'practice_card\("([\w-]+)"\)', "\n".join(cell.source for cell in NOTEBOOK.cells))
    assert len(cards) == 3 and all(name.startswith("design-") for name in cards)
    shown = [
        out.data.get("text/markdown", "")
        for c in NOTEBOOK.cells
        for out in c.get("outputs", [])
        if "data" in out
    ]
    assert sum("**Practice** · " in text for text in shown) == 3
