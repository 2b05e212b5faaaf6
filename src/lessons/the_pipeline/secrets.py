"""Where a secret can be read while a shell step runs, as Jenkins runs one: written to a file, then `sh -xe`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from course.servers import base_environment

PUSH = """
import json, os, sys
with open("seen.json", "w") as file:
    json.dump(sys.orig_argv, file)  # what the list of processes shows
given = sys.argv[-1] if sys.argv[1:] else os.environ["TOKEN"]
print("pushed" if len(given) == 24 else "refused")
"""
READABLE = 8  # characters in a row that somebody can use


def shell() -> str | None:
    """Return the shell; on Windows the one that comes with Git."""
    git = shutil.which("git")
    beside = [str(Path(git).parents[1] / "bin")] if git else []
    return shutil.which("sh") or next(
        (found for one in beside if (found := shutil.which("sh", path=one))), None
    )


def masked(log: str, secret: str) -> str:
    """What every system does first: the exact text is replaced."""
    return log.replace(secret, "****")


def readable(text: str, secret: str) -> bool:
    """Whether eight characters of the secret stand in the text in a row."""
    return any(secret[at : at + READABLE] in text for at in range(len(secret) - READABLE + 1))


def run_step(command: str, secret: str) -> dict[str, str]:
    """Run a step that has the secret as $TOKEN and may call `push`: script, log, masked log, list of processes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "push.py").write_text(PUSH, encoding="utf-8")
        (folder / "script.sh").write_text(
            command.replace("push", '"$PYTHON" push.py') + "\n", encoding="utf-8"
        )
        env = base_environment() | {"TOKEN": secret, "PYTHON": Path(sys.executable).as_posix()}
        words = [shell() or "sh", "-xe", "script.sh"]
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=True)
        log = done.stderr + done.stdout
        seen = folder / "seen.json"
        processes = " ".join(json.loads(seen.read_text(encoding="utf-8"))) if seen.exists() else ""
    return {"script": command, "log": log, "masked log": masked(log, secret), "processes": processes}
