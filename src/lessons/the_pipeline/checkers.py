"""Who sees a fault in a pipeline's file before it runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from lessons.the_pipeline import jenkinsfile

# Without the linters of shell and Python, which one machine has and another has not.
ACTIONLINT = [
    str(Path(sys.executable).with_name("actionlint")),
    "-oneline",
    "-no-color",
    "-shellcheck=",
    "-pyflakes=",
]


def actionlint(workflow: str) -> list[str]:
    """Return the faults that actionlint finds, one a line."""
    done = subprocess.run(
        [*ACTIONLINT, "-"], input=workflow, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode > 1:
        raise RuntimeError(f"actionlint: {done.stderr.strip()}")
    return done.stdout.splitlines()


def called(text: str) -> list[str]:
    """Return the targets that a workflow or a Jenkinsfile calls, in order."""
    if text.startswith("pipeline"):
        return jenkinsfile.targets(text)
    jobs = yaml.safe_load(text)["jobs"].values()
    return [
        word
        for job in jobs
        for step in job["steps"]
        for word in re.findall(r"^make (\w+)", step.get("run", ""))
    ]


def broken(jenkins: str, workflow: str) -> dict[str, str]:
    """Return seven files, each with one fault, by what is wrong."""
    title = 'make test ABOUT="${{ github.event.pull_request.title }}"'
    return {
        "needs a job that is not there": workflow.replace("needs: check", "needs: chek"),
        "title of a pull request in run": workflow.replace("make test", title),
        "a target that is not there": workflow.replace("make test", "make tets"),
        "the tests left out": workflow.replace("      - run: make test\n", ""),
        "a brace too few": jenkins.rstrip()[:-1],
        "a step that is not there": jenkins.replace("sh 'make test'", "shell 'make test'"),
        "a secret in double quotes": jenkins.replace("sh 'make release'", 'sh "make release KEY=${TOKEN}"'),
    }


def who_sees(text: str, targets: list[str]) -> dict[str, str]:
    """Say which of three checkers finds a fault: actionlint, the reader with its white list, the list of targets."""
    jenkins = text.startswith("pipeline")
    read = jenkinsfile.faults(text) if jenkins else []
    torn = any("brace" in fault for fault in read)
    found = {
        "actionlint": not jenkins and bool(actionlint(text)),
        "reader": bool(read),
        "list of targets": not torn and called(text) != targets,
    }
    return {name: "found" if one else "·" for name, one in found.items()}
