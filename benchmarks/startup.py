"""Measure where the seconds go from a clone to lesson 00 on the page, and print them as a Markdown table.

    python benchmarks/startup.py                  three times from nothing, medians
    python benchmarks/startup.py --runs 1         once
    python benchmarks/startup.py --alternatives   also: compiling at install, pip instead of uv
    python benchmarks/startup.py --write          put the table into benchmarks/README.md

Each run clones the last commit into a new folder and gives uv an empty cache. uv on PATH is hidden, so that
fetching it counts. Each run downloads some 470 MB. The page is read by headless Chromium; without one, the
clock stops when JupyterLab serves the notebook.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import ModuleType

from shared import put

from course.student.browser import headless, program

ROOT = Path(__file__).resolve().parents[1]
BASE = getattr(sys, "_base_executable", sys.executable)
LESSON = "00a_start_here.ipynb"

Seconds = dict[str, float]


def load(root: Path) -> ModuleType:
    """Return the clone's src/environment.py as a module."""
    spec = importlib.util.spec_from_file_location("environment", root / "src" / "environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def step(command: list[str]) -> str:
    """Return the row of the table that a command of the build belongs to."""
    text = " ".join(command)
    if "-m venv" in text:
        return "`python -m venv`"
    if "--retries 2 uv==" in text:
        return "uv, fetched with pip"
    if "pip install" in text:
        return "all packages: download and install"
    return "the package is importable"


def build(root: Path, cache: Path) -> Seconds:
    """Build the clone's environment with an empty cache; return the seconds of each step."""
    os.environ["UV_CACHE_DIR"] = str(cache)
    environment, seconds = load(root), {}
    plain = environment.run

    def timed(command: list[str], folder: Path) -> None:
        start = time.perf_counter()
        plain(command, folder)
        seconds[step(command)] = time.perf_counter() - start

    environment.run = timed
    environment.ensure(root, this_python=True, force=True)
    return seconds


@contextlib.contextmanager
def lab(root: Path, env: dict[str, str]) -> Iterator[str]:
    """Run `walkforward lab` in the clone and yield JupyterLab's address; end it as Ctrl-C does."""
    python = str(load(root).interpreter(root / ".venv"))
    command = [python, "-m", "course", "lab", "--no-browser"]
    process = subprocess.Popen(
        command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said = ""
        for line in process.stdout:
            said += line
            if found := re.match(r"JupyterLab\s+(\S+)", line):
                yield found.group(1)
                return
        raise SystemExit(f"the lab did not start:\n{said}")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def opened(address: str, browser: object | None) -> None:
    """Wait until lesson 00 is there to be read."""
    if browser is None:
        served = address.replace("/lab/tree/", "/api/contents/")
        urllib.request.urlopen(served, timeout=60).read()
        return
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-MarkdownOutput h1", timeout=60_000)
    page.close()


def one_run(browser: object | None) -> Seconds:
    """Measure one clone from nothing to the second lab."""
    with tempfile.TemporaryDirectory(prefix="walk forward ") as name:
        folder = Path(name)
        root = folder / "Walk Forward"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(root)], check=True)
        if not (root / "notebooks" / LESSON).exists():
            raise SystemExit(f"notebooks/{LESSON} is not committed yet: `make lessons` builds it")
        seconds = build(root, folder / "uv cache")
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        # As for a student who has never run the course: nothing prepared in a cache of the machine's.
        env |= {"XDG_CACHE_HOME": str(folder / "cache"), "WALKFORWARD_STATE": str(folder / "state")}
        start = time.perf_counter()
        with lab(root, env) as address:
            seconds["first `lab`: JupyterLab answers"] = time.perf_counter() - start
            opened(address, browser)
            seconds["lesson 00 on the page"] = (
                time.perf_counter() - start - seconds["first `lab`: JupyterLab answers"]
            )
        seconds["**clone to lesson 00 open**"] = sum(seconds.values())
        start = time.perf_counter()
        subprocess.run([BASE, "src/environment.py"], cwd=root, check=True)
        seconds["`make env` with nothing to do"] = time.perf_counter() - start
        start = time.perf_counter()
        with lab(root, env) as address:
            opened(address, browser)
            seconds["**second `make lab`, lesson 00 open**"] = (
                time.perf_counter() - start + seconds["`make env` with nothing to do"]
            )
        return seconds


def alternatives() -> Seconds:
    """Measure, once each, what was decided against."""
    with tempfile.TemporaryDirectory(prefix="walk forward ") as name:
        folder = Path(name)
        root = folder / "Walk Forward"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(root)], check=True)
        build(root, folder / "uv cache")
        environment = load(root)
        own = str(environment.interpreter(root / ".venv"))
        start = time.perf_counter()
        packages = next((root / ".venv").glob("[Ll]ib/**/site-packages"))
        command = [own, "-m", "compileall", "-q", "-j", "0", str(packages)]
        subprocess.run(command, env=environment.clean_env(), stdout=subprocess.DEVNULL)
        compiled = time.perf_counter() - start
        environment.remove(root / ".venv")
        subprocess.run([BASE, "-m", "venv", str(root / ".venv")], check=True)
        start = time.perf_counter()
        environment.install([], root, own)
        return {
            "compiling every module at install, in addition": compiled,
            "pip instead of uv, no cache, nothing compiled": time.perf_counter() - start,
        }


def table(seconds: Seconds) -> str:
    """Return a Markdown table."""
    rows = "\n".join(f"| {name} | {value:.1f} |" for name, value in seconds.items())
    return f"| | seconds |\n|---|---:|\n{rows}"


def main() -> int:
    """Run the command line; return the exit code."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--runs", type=int, default=3, help="how many times from nothing (default: 3)")
    parser.add_argument("--alternatives", action="store_true", help="also measure what was decided against")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    # uv is fetched, as on a machine that has nothing but Python, git and make.
    hidden = shutil.which("uv")
    while hidden:
        there = Path(hidden).parent
        os.environ["PATH"] = os.pathsep.join(
            part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != there
        )
        hidden = shutil.which("uv")
    load = f", load average {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    chromium = headless() if program() else contextlib.nullcontext()
    with chromium as browser:  # it runs already when the clock starts
        runs = []
        for number in range(options.runs):
            print(f"run {number + 1} of {options.runs}", file=sys.stderr, flush=True)
            runs.append(one_run(browser))
    medians = {name: median(run[name] for run in runs) for name in runs[0]}
    if options.alternatives:
        medians |= alternatives()
    where = f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}{load}"
    how = "read off the page in headless Chromium" if program() else "until JupyterLab serves the notebook"
    text = f"Median of {options.runs}, {where}; {how}.\n\n{table(medians)}"
    print(text)
    if options.write:
        put("startup", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
