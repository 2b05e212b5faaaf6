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


# ------------------------------------------------- the blank case
def test_the_blank_case_has_a_clock_a_form_and_an_answer_for_each_step_and_level():
    case = PROSE[PROSE.index("## Sitting 3") :]
    steps = re.findall(r"^\| \*\*([\w -]+)\*\* \| (\d+) \|", case, re.MULTILINE)
    assert sum(int(minutes) for _, minutes in steps) == 35
    assert re.findall(r"^\*\*([\w -]+)\.\*\* …$", case, re.MULTILINE) == [
        name.replace("*", "") for name, _ in steps
    ]
    answers = re.findall(r"^\| \*\*([\w -]+)\*\* \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", case, re.MULTILINE)
    assert [step for step, *_ in answers] == [name for name, _ in steps]
    assert all(len(set(levels)) == 3 and all(level.strip() for level in levels) for _, *levels in answers)


def test_answers_of_the_blank_case_are_folded_until_they_are_asked_for():
    cells = [cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown"]
    start = next(place for place, text in enumerate(cells) if "## What the interviewer answers" in text)
    folded = [text for text in cells[start:] if "<details>" in text]
    assert sum(text.count("<summary>") for text in folded) == 7
    assert all(text.count("<details>") == text.count("</details>") for text in folded)
    for cell in (text for text in folded if "| junior |" in text):
        assert cell.index("<details>") < cell.index("| junior |") < cell.index("</details>")


def test_the_estimates_of_the_blank_case_are_those_that_its_answer_uses():
    movement = 5 * 1000 * 4 * 2
    assert round(420 * 16 * 600 * movement / 1e9) == 161
    assert round(16 * 600 * movement * 8 / 2e6 / 60) == 26
    assert round(100 * 150 / (0.7 * 9000), 1) == 2.4
    about = 65 * 5 / 365
    alarms = [about * 0.6 + (6720 - about) * rate for rate in (0.03, 0.01, 0.001, 0.0002)]
    assert np.allclose(column("rare", "alarms a night"), alarms, atol=6e-4)
    assert np.allclose(column("rare", "share that is real"), [about * 0.6 / n for n in alarms], atol=6e-4)
    (table,) = tables_of(CELLS["rare"])
    pays = [row[table.columns.index("pays")] == "True" for row in table.body]
    assert pays == [about * 0.6 / n > 150 / 6300 for n in alarms] and pays[0] != pays[-1]


def test_few_failures_leave_a_wide_interval():
    low, high = column("few", "from"), column("few", "to")
    widths = [b - a for a, b in zip(low, high, strict=True)]
    assert widths == sorted(widths, reverse=True) and widths[1] > 0.3
    assert all(a < 0.6 < b for a, b in zip(low, high, strict=True))
