"""The gate: asks the questions of questions.yaml, keeps the answers, and sets the alias when all are yes.

python -m projects.release_gate.gate ask metric --challenger FOLDER --champion FOLDER --rows FILE
python -m projects.release_gate.gate promote … --name trip-duration --version 2 --expected 1
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from projects.release_gate.questions import QUESTIONS, Case
from projects.release_gate.release import Release, digest

HERE = Path(__file__).resolve().parent
TABLE: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "questions.yaml").read_text(encoding="utf-8"))
ANSWERS = "answers.json"


def ask(case: Case, names: Iterable[str] = tuple(TABLE), table: Mapping[str, Any] = TABLE) -> pd.DataFrame:
    """The answers, one row a question: `yes`, and what was `found`. A question that fails is a no."""
    told = {}
    for name in names:
        try:
            yes, found = QUESTIONS[name](case, table[name]["limit"])
        except Exception as fault:  # whatever it is: what could not be asked is not a yes
            yes, found = False, f"not answered: {type(fault).__name__}"
        told[name] = {"yes": bool(yes), "found": found}
    return pd.DataFrame(told, index=["yes", "found"]).T


def noes(answers: Mapping[str, Any], table: Mapping[str, Any] = TABLE) -> list[str]:
    """The questions of the table that were not answered with yes; a missing answer is no yes."""
    return [name for name in table if answers.get(name) is not True]


def of(case: Case) -> dict[str, str]:
    """What the answers are about: they are worth nothing for another model, champion or table."""
    sides = {name: release.digest for name, release in case.sides.items()}
    return sides | {"rows": digest(case.rows)}


def keep(case: Case, answers: pd.DataFrame) -> None:
    """Write answers beside the challenger; those about something else are dropped."""
    file, about = case.new.folder / ANSWERS, of(case)
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    told = known["answers"] if known.get("of") == about else {}
    told |= answers["yes"].to_dict()
    file.write_text(json.dumps({"of": about, "answers": told}, indent=1) + "\n", encoding="utf-8")


def kept(case: Case) -> dict[str, bool]:
    """The answers that were written down about exactly this case."""
    file = case.new.folder / ANSWERS
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return known["answers"] if known.get("of") == of(case) else {}


def promote(client: Any, name: str, version: str, expected: str | None, case: Case) -> str:
    """Set the alias `champion` to this version when all is yes; say what was done, or why not.

    `expected` is the version that the challenger was compared with, None where there is no champion yet. The
    version's tag `digest` says which model it holds.
    """
    if refusing := noes(kept(case)):
        return f"refused: {', '.join(refusing)}"
    if client.get_model_version(name, version).tags.get("digest") != case.new.digest:
        return f"refused: version {version} is another model than the one that was judged"
    current = client.get_registered_model(name).aliases.get("champion")
    if current is not None and str(current) == str(version):
        return f"champion is {version} already"
    if (None if current is None else str(current)) != (None if expected is None else str(expected)):
        return f"refused: compared with version {expected}, the champion is {current}"
    if expected is not None:
        client.set_registered_model_alias(name, "previous", str(expected))
    client.set_registered_model_alias(name, "champion", str(version))
    return f"champion is {version}"


def main(arguments: list[str] | None = None) -> int:
    """Ask some questions or all, or promote; 1 when an answer is no or the promotion is refused."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["ask", "promote"])
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(TABLE)}; none: all")
    for name in ("challenger", "champion", "rows"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("store", "name", "version", "expected"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args(arguments)
    if unknown := set(given.questions) - set(TABLE):
        parser.error(f"no such question: {', '.join(sorted(unknown))}")
    case = Case(Release(given.challenger), Release(given.champion), pd.read_parquet(given.rows))
    if given.what == "ask":
        answers = ask(case, given.questions or TABLE)
        keep(case, answers)
        for name, row in answers.iterrows():
            print(f"{'yes' if row['yes'] else 'NO ':3}  {name:12}  {row['found']}", flush=True)
        return int(not answers["yes"].all())
    from mlflow import MlflowClient

    said = promote(
        MlflowClient(given.store, given.store), given.name, given.version, given.expected or None, case
    )
    print(said)
    return int(said.startswith("refused"))


if __name__ == "__main__":
    sys.exit(main())
