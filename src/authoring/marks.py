r"""Numbers in prose, held against the outputs they speak of.

A mark is an HTML comment right after the number, so nobody sees it when reading.

Group 1 of an expression, searched in the text outputs of the cell named `scores`:
`RMSE of 5.82<!-- =scores: linear .*? ([\d.]+) --> minutes`.
Row and column of a table that the cell shows: `RMSE of **5.82**<!-- =scores[linear, rmse] --> minutes`.
Rounded to the last digit that is not 0: `about 70,000<!-- ~counts: ([\d,]+) rows --> rows`.
Given, not measured: `trips of 1.5<!-- given --> miles`.

A number must be marked when it has a decimal point, a % or × after it, or three digits and more, and is no
year, code, formula, link target or quotation from a fenced block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from html.parser import HTMLParser
from typing import Any

THIN = "\u2009\u202f\u00a0"
_DIGITS = rf"(?:\d{{1,3}}(?:[,{THIN}]\d{{3}})+|\d+)(?:\.\d+)?|\.\d+"
NUMBER = re.compile(
    rf"(?<![\w.,/])(?<!\d[-–−:])(?P<sign>(?<![\w)])[-−])?(?P<digits>{_DIGITS})(?!\d|\.\d|[:/]\d)"
)
MARK = re.compile(r"<!--\s*(?P<kind>given|[=~])(?P<rest>.*?)\s*-->", re.DOTALL)
_HIDDEN = [
    re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE),  # fenced blocks, Mermaid
    re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL),  # code
    re.compile(r"\$\$.*?\$\$", re.DOTALL),  # formulas
    re.compile(r"(?<![\\$\w])\$(?=\S)[^$\n]+?(?<=\S)\$(?![\d$])"),
    re.compile(r"(?<=\])\([^)\s]*(?:\s+\"[^\"]*\")?\)"),  # link and image targets
    re.compile(r"<(?:https?://)[^>]*>|https?://\S+"),
    re.compile(r"<(?!!--)/?[a-zA-Z][^>]*>"),  # HTML tags and their attributes
    re.compile(r"^#+ \d\d[a-z]?(?= ·)", re.MULTILINE),  # the lesson's number in its title
    re.compile(r"\*\*Time\*\* \d+ minutes\b"),  # recomputed from the cells: sitting.py
]


def faults(notebook: Any) -> list[str]:
    """Return a line for each number in Markdown that is unmarked, or that its output contradicts."""
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    found: list[str] = []
    for position, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "markdown":
            found += [f"cell {position}: {line}" for line in _in_prose(cell.source, cells)]
    return found


def _in_prose(source: str, cells: dict[str, Any]) -> list[str]:
    found: list[str] = []
    marks = list(MARK.finditer(source))
    visible = _blanked(source, [mark.span() for mark in marks])
    for pattern in _HIDDEN:
        visible = pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), visible)
    visible = re.sub(r"<!--.*?-->", lambda m: re.sub(r"[^\n]", " ", m[0]), visible, flags=re.DOTALL)
    used: set[int] = set()
    for number in NUMBER.finditer(visible):
        after = re.compile(r"[*_]{0,3}").match(source, number.end())
        mark = next((m for m in marks if after and m.start() in {number.end(), after.end()}), None)
        if mark is None:
            if _needs_mark(number, visible):
                found.append(
                    f"the number {_excerpt(source, number)} has no mark; put <!-- =cell: expression -->, "
                    "<!-- =cell[row, column] --> or <!-- given --> right after its last digit"
                )
            continue
        used.add(mark.start())
        fault = _compare(number, mark, cells)
        if fault:
            found.append(f"the number {_excerpt(source, number)}: {fault}")
    for mark in marks:
        if mark.start() not in used:
            before = source[max(0, mark.start() - 20) : mark.start()].replace("\n", " ")
            found.append(f"the mark {mark[0]!r} follows no number (before it: …{before!r})")
    return found


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in spans:
        text = text[:start] + re.sub(r"[^\n]", "\x00", text[start:end]) + text[end:]
    return text.replace("\x00", " ")


def _excerpt(source: str, number: re.Match[str]) -> str:
    words = source[max(0, number.start() - 25) : number.end() + 25]
    return f"{number[0]} («…{' '.join(MARK.sub('', words).split('<!--')[0].split())}…»)"


def _needs_mark(number: re.Match[str], visible: str) -> bool:
    digits = number["digits"]
    after = visible[number.end() :].lstrip("*_ " + THIN)
    if "." in digits or after[:1] in {"%", "×"} or after.startswith("per cent"):
        return True
    bare = re.sub(rf"[,{THIN}]", "", digits)
    if bare == digits and re.fullmatch(r"19\d\d|20\d\d", bare) and number["sign"] is None:
        return False
    return len(bare) >= 3


def _compare(number: re.Match[str], mark: re.Match[str], cells: dict[str, Any]) -> str | None:
    """Return what is wrong with a marked number, None if its output agrees."""
    rest = mark["rest"].strip()
    if mark["kind"] == "given":
        return f"a mark says `given` and nothing else, not {rest!r}" if rest else None
    target = re.match(r"(?P<cell>[\w-]+)\s*(?:\[(?P<place>.*)\]|:\s*(?P<pattern>.*))$", rest, re.DOTALL)
    if not target:
        return f"its mark reads neither `=cell: expression` nor `=cell[row, column]`: {mark[0]}"
    if "--" in rest:
        return f"a mark can't hold `--`, it would end the comment on some pages: {mark[0]}"
    cell = cells.get(target["cell"])
    if cell is None:
        return f"no code cell is named {target['cell']!r}"
    if target["place"] is not None:
        said, why = _from_tables(cell, target["place"])
    else:
        said, why = _from_text(cell, target["pattern"])
    if said is None:
        return why
    try:
        value = Decimal(_plain(said))
    except InvalidOperation:
        return f"the output of {target['cell']} has {said!r} there, which is no number"
    prose = Decimal(_plain((number["sign"] or "") + number["digits"]))
    exponent = int(prose.as_tuple().exponent)
    if mark["kind"] == "~":
        exponent = int(prose.normalize().as_tuple().exponent)
    # Half a unit of the last digit in the prose: the output is often rounded itself.
    if abs(value - prose) > Decimal(5).scaleb(exponent - 1):
        return f"the output of {target['cell']} says {said}"
    return None


def _plain(number: str) -> str:
    return re.sub(rf"[,{THIN}\s_]", "", number).replace("−", "-")


def text_of(cell: Any) -> str:
    """Return what a code cell printed and showed, as text."""
    parts = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stdout":
            parts.append(output.text)
        elif output.output_type in {"display_data", "execute_result"}:
            parts.append(output.data.get("text/plain", ""))
    return "\n".join(part.rstrip("\n") for part in parts)


def _from_text(cell: Any, pattern: str) -> tuple[str | None, str]:
    try:
        expression = re.compile(pattern, re.MULTILINE)
    except re.error as error:
        return None, f"its mark's expression {pattern!r} is none: {error}"
    if expression.groups < 1:
        return None, f"its mark's expression {pattern!r} has no group ( ) around the number"
    text = text_of(cell)
    match = expression.search(text)
    if match is None or match[1] is None:
        shown = text if len(text) < 300 else text[:300] + " …"
        return None, f"{pattern!r} is not in the output of {cell.id}, which reads: {shown!r}"
    return match[1], ""


# Tables ----------------------------------------------------------------------------------------------------


def _from_tables(cell: Any, place: str) -> tuple[str | None, str]:
    row, comma, column = (part.strip() for part in place.rpartition(","))
    if not comma:
        row, column = column, ""
    hits, seen = [], []
    for table in tables_of(cell):
        names = sorted(set().union(*table.rows))
        seen.append(f"rows {', '.join(names)}; columns {', '.join(table.columns)}")
        hits += table.look_up(row, column)
    if not hits:
        return None, f"no table of {cell.id} has [{place}]; it has: {' | '.join(seen) or 'no table'}"
    if len(hits) > 1:
        return None, f"[{place}] is {len(hits)} places of the tables of {cell.id}"
    numbers = re.findall(rf"[-−]?(?:{_DIGITS})(?:[eE][-+]?\d+)?", hits[0])
    if len(numbers) != 1:
        return None, f"{cell.id}[{place}] is {hits[0]!r}, which is not one number"
    return numbers[0], ""


@dataclass
class Table:
    """A table as shown: for each row the names it answers to, the columns' names, the texts of the body."""

    rows: list[set[str]]
    columns: list[str]
    body: list[list[str]]

    def look_up(self, row: str, column: str) -> list[str]:
        """Return the texts at a row and column; `column` may be empty when there is only one."""
        wide = [i for i, name in enumerate(self.columns) if name == column]
        if not wide:
            wide = [i for i, name in enumerate(self.columns) if name.split(" / ")[-1] == column]
        if not column and len(self.columns) == 1:
            wide = [0]
        return [self.body[j][i] for j, names in enumerate(self.rows) if row in names for i in wide]


def tables_of(cell: Any) -> list[Table]:
    """Return the tables a code cell shows: HTML where there is some, else text (a Series)."""
    tables: list[Table] = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        html = data.get("text/html", "")
        if "<table" in html:
            reader = _Reader()
            reader.feed(html)
            tables += [_table(grid) for grid in reader.tables]
        else:
            text = data.get("text/plain") or (
                output.get("text", "") if output.get("name") == "stdout" else ""
            )
            tables += _text_tables(text)
    return tables


class _Reader(HTMLParser):
    """Collects each table as rows of (text, is header, rows spanned, columns spanned)."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[tuple[bool, list[list[Any]]]]] = []
        self._head = False
        self._cell: list[Any] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self.tables.append([])
        elif tag == "thead":
            self._head = True
        elif tag == "tr" and self.tables:
            self.tables[-1].append((self._head, []))
        elif tag in {"td", "th"} and self.tables and self.tables[-1]:
            spans = [int(given.get(name) or 1) for name in ("rowspan", "colspan")]
            self._cell = ["", tag == "th", *spans]
            self.tables[-1][-1][1].append(self._cell)

    def handle_endtag(self, tag: str) -> None:
        if tag == "thead":
            self._head = False
        elif tag in {"td", "th"}:
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell[0] += data


def _table(rows: list[tuple[bool, list[list[Any]]]]) -> Table:
    """Lay spanning cells out on a grid, then tell the index and the header from the body."""
    grid: dict[tuple[int, int], tuple[str, bool]] = {}
    for j, (_, cells) in enumerate(rows):
        i = 0
        for text, header, down, across in cells:
            while (j, i) in grid:
                i += 1
            for dj in range(down):
                for di in range(across):
                    grid[j + dj, i + di] = (re.sub(r"[ \t\r\n]+", " ", text).strip(), header)
            i += across
    width = 1 + max((i for _, i in grid), default=-1)
    head = [j for j, (in_head, _) in enumerate(rows) if in_head]
    below = [j for j in range(len(rows)) if j not in head]
    index = 0
    while below and index < width and all(grid.get((j, index), ("", False))[1] for j in below):
        index += 1
    columns = []
    for i in range(index, width):
        names = [grid.get((j, i), ("", True))[0] for j in head]
        columns.append(" / ".join(name for name in names if name))
    labels, body = [], []
    for j in below:
        # A table whose index is hidden is read by its first column.
        parts = [grid.get((j, i), ("", True))[0] for i in range(max(index, 1))]
        labels.append({" / ".join(parts), parts[-1]} if index > 1 else {parts[0]})
        body.append([grid.get((j, i), ("", False))[0] for i in range(index, width)])
    return Table(labels, columns, body)


def _text_tables(text: str) -> list[Table]:
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not re.match(r"(Name|Length|dtype|Freq): ", line[0])]
    if not lines:
        return []
    header = lines[0]
    pairs = [line for line in lines if len(line) == 2]
    found = []
    if pairs:  # a Series, or lines of `name   value`
        found.append(Table([{name} for name, _ in pairs], [""], [[value] for _, value in pairs]))
    wide = [line for line in lines[1:] if len(line) > 2 and len(line) - len(header) in {0, 1}]
    if wide and len(header) > 1:
        columns = header if len(wide[0]) > len(header) else header[1:]
        found.append(Table([{line[0]} for line in wide], columns, [line[1:] for line in wide]))
    return found
