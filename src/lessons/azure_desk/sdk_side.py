"""The other Python: takes cells from a notebook and runs them where Azure's SDK is installed.

    python sdk_side.py

A line of JSON comes in (`code`, and with the first `given`: names for the code), a line goes out (`said`, `error`). It
needs nothing but what that environment has, and it ends when its input does.
"""

import contextlib
import io
import json
import os
import re
import sys

NAMES: dict[str, str] = {}  # the client id of each application: an output shows the name


def words(refusal: Exception) -> str:
    """Return what a refusal says, in one line: the platform's code and message, or the field at fault."""
    text = str(refusal).replace("\\n", " ").replace('\\"', '"')
    for client, name in NAMES.items():
        text = text.replace(client, name)
    if field := re.search(r'"([\w.]+)": \[\s*"(.+?)"\s*\]', text):
        return f"{field[1]}: {field[2].rstrip('.')}"
    if azure := re.match(r"\((\w+)\) (.*)", text):
        text = f"{azure[1]}: {azure[2]}"
    text = text.splitlines()[0]
    return re.split(r" over scope|\. It must match|\. Trace ID", text)[0].strip().rstrip(".")


def said(action, *arguments, **more) -> str:
    """Call something that may be refused; return what it returns as text, or the refusal in one line."""
    try:
        return str(action(*arguments, **more))
    except Exception as refusal:
        return f"refused: {words(refusal)}"


def main() -> None:
    """Answer line by line until the notebook closes the pipe."""
    lines, answers = sys.stdin, sys.stdout
    sys.stdin = io.StringIO()
    import azure.ai.ml  # noqa: F401  while the notebook still does other things

    space = {"said": said, "__name__": "__main__"}
    for line in lines:
        asked = json.loads(line)
        NAMES.update(asked.get("names", {}))
        space.update(asked.get("given", {}))
        printed, answer = io.StringIO(), {}
        with contextlib.redirect_stdout(printed):
            try:
                exec(compile(asked["code"], "<sdk>", "exec"), space)
            except Exception as error:
                answer["error"] = f"{type(error).__name__}: {error}"
        answers.write(json.dumps({"said": printed.getvalue(), **answer}) + "\n")
        answers.flush()
    os._exit(0)  # what a client left open is not waited for


if __name__ == "__main__":
    main()
