"""What crossed the wire: a line for each request that a stand-in answered; a lesson reads them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Call:
    """One request: who asked, for what, what became of it, and what its body and answer said (shortened)."""

    caller: str
    method: str
    path: str
    how: str  # "served" here, "proxied" to MLflow, "refused"
    status: int
    sent: str = ""
    answered: str = ""


class WireLog:
    """A file of calls, a JSON object a line; bodies are cut, and what is secret never enters."""

    LONGEST = 300

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, call: Call) -> None:
        """Append one call."""
        row = asdict(call)
        row["sent"], row["answered"] = call.sent[: self.LONGEST], call.answered[: self.LONGEST]
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def read(self, since: int = 0) -> pd.DataFrame:
        """Return the calls after the first `since` as a table, a column for each field of `Call`."""
        import pandas as pd  # the servers write and never read: they start without it

        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        return pd.DataFrame([json.loads(line) for line in lines[since:]], columns=list(Call.__annotations__))
