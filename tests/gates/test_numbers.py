"""Marks of numbers in prose: which numbers need one, and how an output is held against them."""

import nbformat
import pandas as pd
import pytest

from authoring import marks

FRAME = pd.DataFrame(
    {"rmse": [5.824, 1.5, -28.4], "share": ["28.4 %", "3 %", "n/a"], "trips": ["69,812", "12", "1\u202f000"]},
    index=pd.Index(["linear", "ridge, scaled", "tree"], name="model"),
)
LEVELS = pd.DataFrame(
    [[1.25, 2.5], [3.75, 4.0]],
    index=pd.MultiIndex.from_tuples([("taxi", 2019), ("taxi", 2020)], names=["kind", "year"]),
    columns=pd.MultiIndex.from_tuples([("error", "mean"), ("error", "worst")]),
)


def notebook(prose: str):
    """A notebook whose cells show a table, a table with levels, a hidden index, a Series and text."""
    shown = {
        "scores": FRAME,
        "levels": LEVELS,
        "hidden": FRAME.reset_index().style.hide(axis="index").set_uuid("s"),
        "series": FRAME["rmse"],
    }
    made = nbformat.v4.new_notebook()
    for name, value in shown.items():
        html = value._repr_html_() if hasattr(value, "_repr_html_") else None
        data = {"text/plain": repr(value)} | ({"text/html": html} if html else {})
        output = nbformat.v4.new_output("execute_result", data)
        made.cells.append(nbformat.v4.new_code_cell("", id=name, outputs=[output]))
    printed = "linear  rmse 5.824\n12,345 rows, 28.4 % of all\nchange -3.5 (U+2212: −4.5)\n"
    stream = nbformat.v4.new_output("stream", name="stdout", text=printed)
    noise = nbformat.v4.new_output("stream", name="stderr", text="secret 99\n")
    made.cells.append(nbformat.v4.new_code_cell("", id="text", outputs=[stream, noise]))
    made.cells.append(nbformat.v4.new_markdown_cell(prose))
    return made


def faults(prose: str) -> list[str]:
    return marks.faults(notebook(prose))


@pytest.mark.parametrize(
    "prose",
    [
        r"RMSE 5.82<!-- =text: rmse ([\d.]+) --> minutes",
        r"RMSE **5.8**<!-- =text: ^linear .*? ([\d.]+) --> minutes",
        r"RMSE **5.824<!-- =text: rmse ([\d.]+) -->**",
        r"6<!-- =text: rmse ([\d.]+) --> minutes",
        r"12,345<!-- =text: ([\d,]+) rows --> rows",
        "12\u202f345<!-- =text: ([\\d,]+) rows --> rows",
        r"12,000<!-- ~text: ([\d,]+) rows --> rows",
        r"28.4<!-- =text: ([\d.]+) % --> % of all",
        r"28<!-- =text: ([\d.]+) % --> % of all",
        r"fell by −3.5<!-- =text: change (\S+) -->",
        r"fell by -3.5<!-- =text: change (\S+) -->",
        r"fell by 3.5<!-- =text: change -(\S+) -->",
        r"fell by 4.5<!-- =text: U.2212: −([\d.]+) -->",
        "5.82<!-- =scores[linear, rmse] -->",
        "1.5<!-- =scores[ridge, scaled, rmse] -->",
        "28.4<!-- =scores[linear, share] --> %",
        "69,812<!-- =scores[linear, trips] -->",
        "1,000<!-- =scores[tree, trips] -->",
        "−28.4<!-- =scores[tree, rmse] -->",
        "1.25<!-- =levels[taxi / 2019, error / mean] -->",
        "4.0<!-- =levels[2020, worst] -->",
        "5.82<!-- =hidden[linear, rmse] -->",
        "5.82<!-- =series[linear] -->",
        "1.5<!-- given --> miles",
    ],
)
def test_agrees(prose):
    assert faults(prose) == []


@pytest.mark.parametrize(
    "prose, words",
    [
        (r"5.83<!-- =text: rmse ([\d.]+) -->", "says 5.824"),
        (r"5.825<!-- =text: rmse ([\d.]+) -->", "says 5.824"),
        (r"5<!-- =text: rmse ([\d.]+) -->", "says 5.824"),
        (r"13,000<!-- ~text: ([\d,]+) rows -->", "says 12,345"),
        (r"12,000<!-- =text: ([\d,]+) rows -->", "says 12,345"),
        (r"0.284<!-- =text: ([\d.]+) % -->", "says 28.4"),
        (r"3.5<!-- =text: change (\S+) -->", "says -3.5"),
        (r"99<!-- =text: secret (\d+) -->", "is not in the output"),
        (r"5.82<!-- =text: lasso ([\d.]+) -->", "which reads: 'linear"),
        (r"5.82<!-- =text: rmse [\d.]+ -->", "no group"),
        (r"5.82<!-- =text: rmse ([\d.]+ -->", "is none"),
        (r"5.82<!-- =text: (linear) -->", "no number"),
        (r"5.82<!-- =text: rmse -- ([\d.]+) -->", "can't hold `--`"),
        ("5.82<!-- =scores -->", "reads neither"),
        ("5.82<!-- =gone[linear, rmse] -->", "no code cell is named 'gone'"),
        ("5.83<!-- =scores[linear, rmse] -->", "says 5.824"),
        ("5.82<!-- =scores[linear, mae] -->", "columns rmse, share, trips"),
        ("5.82<!-- =scores[tree, share] -->", "not one number"),
        ("5.82<!-- =levels[taxi / 2021, error / mean] -->", "no table"),
        ("5.82<!-- given, really -->", "nothing else"),
        ("word<!-- given --> of honour", "follows no number"),
        ("5.82 minutes<!-- given -->", "follows no number"),
    ],
)
def test_disagrees(prose, words):
    found = faults(prose)
    assert [line for line in found if words in line], found


@pytest.mark.parametrize(
    "prose",
    [
        "5.8 minutes",
        "28 % shorter",
        "28% shorter",
        "**28** % shorter",
        "3 × slower",
        "300 trips",
        "12,345 trips",
        "-300 trips",
        "| 5.8 |",
        "(5.8)",
        "between 5.8 and",
        "> 5.8",
        "- 5.8",
        "half a minute, .5",
        "Python 3.11",
        "costs 2.5 dollars, not `2.5`",
        "2150 trips",
        "## The 5.8 minutes",
    ],
)
def test_needs_a_mark(prose):
    found = faults(prose)
    assert len(found) == 1
    assert "has no mark" in found[0]


@pytest.mark.parametrize(
    "prose",
    [
        "14 days, lesson 03, 10-fold",
        "from 2019-01-31 to 2020-12",
        "in 1999 and 2024",
        "`5.8` and ``5.8``",
        "$x = 5.8$ and $$y = 300$$",
        "[the 3 lessons](https://example.org/5.8/300)",
        "https://example.org/300",
        "```\n5.8\n```",
        "```mermaid\nflowchart LR\n  A[300 trips] --> B\n```",
        '<img src="x.png" width="300">',
        "# 11 · Monitoring",
        "# I1 · Coding, then [I3](I3_debugging.ipynb)",
        "XGBoost3.2, H14, utf-8, a1000",
        "<!-- 5.8 -->",
        "at 12:30",
    ],
)
def test_needs_no_mark(prose):
    assert faults(prose) == []


def test_each_fault_names_its_cell_and_the_words_around():
    (fault,) = faults("The error is 5.8 minutes here")
    assert fault.startswith("cell 6: the number 5.8 («…The error is 5.8 minutes here…»)")
