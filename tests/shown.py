"""What a built lesson shows, for the tests that hold its text to it."""

import re
from html import unescape
from pathlib import Path

import nbformat
import pandas as pd

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


class Shown:
    """The outputs of the stored notebook of the lesson `stem`, by the names of its cells."""

    def __init__(self, stem):
        self.notebook = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)

    def cell(self, name):
        (found,) = [cell for cell in self.notebook.cells if cell.cell_type == "code" and cell.id == name]
        return found

    def output(self, name):
        """What the cell printed or returned, as text."""
        outputs = self.cell(name).outputs
        return "\n".join(one.get("text") or one.get("data", {}).get("text/plain", "") for one in outputs)

    def number(self, name, pattern):
        return float(re.search(pattern, self.output(name))[1])

    def table(self, name):
        """The table that a cell shows; of two levels of rows, (outer, inner)."""
        outputs = self.cell(name).outputs
        (shown,) = [one.data["text/html"] for one in outputs if "text/html" in one.get("data", {})]
        heads = re.findall(r"<tr[^>]*>(.*?)</tr>", shown.split("</thead>")[0], re.DOTALL)
        rows, outer = {}, None
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", shown.split("<tbody>")[1], re.DOTALL):
            names = [unescape(text) for text in re.findall(r"<th[^>]*>(.*?)</th>", row, re.DOTALL)]
            outer = names[0] if len(names) > 1 else outer
            key = names[-1] if outer is None else (outer, names[-1])
            rows[key] = [unescape(text) for text in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        columns = [unescape(text) for text in re.findall(r"<th[^>]*>(.*?)</th>", heads[0])]
        index = list(rows) if outer is None else pd.MultiIndex.from_tuples(rows)
        width = len(next(iter(rows.values())))
        named = columns[-width:] if len(columns) >= width else range(width)
        return pd.DataFrame([*rows.values()], index, named)


def flat_table(notebook, name):
    """The table that a cell of this notebook shows, as text; its first column is the index."""
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id == name]
    (shown,) = [one.data["text/html"] for one in cell.outputs if "text/html" in one.get("data", {})]
    rows = [
        [unescape(text) for text in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", shown, re.DOTALL)
    ]
    rows = [row for row in rows if any(row[1:])]  # without the line that names the index
    return pd.DataFrame([row[1:] for row in rows[1:]], [row[0] for row in rows[1:]], rows[0][1:])
