"""Runs a job of a GitHub workflow on this machine by act, from the environment `ci`; no Docker, no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from course import environments
from course.environments import OtherEnvironmentError
from course.servers import base_environment

HOST = "ubuntu-latest=-self-hosted"  # the steps run here and not in a container


def act() -> Path | None:
    """Return the program; its environment is made on first use. None where it can't be had or is of no use."""
    if os.name == "nt":
        return None  # act's host mode wants bash for each step
    try:
        return environments.make("ci").parent / "act"
    except OtherEnvironmentError:
        return None


def run_job(
    folder: Path, job: str, event: str = "push", **secrets: str
) -> tuple[list[str], list[str]] | None:
    """Return each step with its result, and the lines of the log; None without act."""
    program = act()
    if program is None:
        return None
    own = folder.parent / "act"
    own.mkdir(exist_ok=True)
    told = [part for name, value in secrets.items() for part in ("-s", f"{name}={value}")]
    words = [str(program), event, "-j", job, "-P", HOST, "--json", "--no-cache-server", *told]
    python = f"PYTHON={Path(sys.executable).as_posix()}"
    env = base_environment(drop="GIT_|GITHUB_|ACTIONS_|MAKE|MFLAGS|DOCKER_")
    env |= {"HOME": str(own), "XDG_CACHE_HOME": str(own / "cache"), "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [*words, "--env", python], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    results = {
        one["step"]: one["stepResult"] for one in lines if one.get("stage") == "Main" and "stepResult" in one
    }
    job_result = [one["jobResult"] for one in lines if "jobResult" in one]
    steps = [f"{step}: {result}" for step, result in results.items()] + [f"job: {one}" for one in job_result]
    return steps, [line for one in lines if one.get("raw_output") for line in one["msg"].splitlines()]
