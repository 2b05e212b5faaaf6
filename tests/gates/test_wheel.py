"""The wheel alone: beside its requirements and nothing else it backtests, reports drift and serves."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from shutil import copytree, ignore_patterns
from time import monotonic, sleep

import mlflow
import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sklearn.linear_model import LinearRegression

from course.paths import ROOT
from walkforward.ports import listening_port

# In the light environment these are neither imported nor there.
HEAVY = {
    "course",
    "authoring",
    "mlflow",
    "pyarrow",
    "matplotlib",
    "IPython",
    "jupyter_core",
    "xgboost",
    "click",
}

WORK = """
import importlib.util, json, sys
import numpy as np, pandas as pd
from sklearn.linear_model import LinearRegression
from walkforward.drift import classifier_drift, drift_report
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest, find_leaks, score

days = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=140), "y": np.arange(140) % 7.0})
folds = WalkForwardSplit(horizon=7, n_splits=3)
naive = backtest(days, SeasonalNaive(7), folds, progress=False)
linear = backtest(days, LinearRegression(), folds, lags=7, calendar="US", progress=False)
before = pd.DataFrame({"km": np.arange(400.0), "zone": ["a", "b"] * 200})
after = before.assign(km=before["km"] + 200)
report = drift_report(before, after)
print(json.dumps({
    "rows": [len(naive), len(linear)],
    "error": [float((frame["y"] - frame["yhat"]).abs().max()) for frame in (naive, linear)],
    "drift": dict(zip(report["column"], report["verdict"])),
    "imported": sorted({name.partition(".")[0] for name in sys.modules}),
    "there": [name for name in HEAVY if importlib.util.find_spec(name)],
}))
"""

MISSING = """
import pandas as pd
import walkforward.drift, walkforward.plots, walkforward.serving
from walkforward.forecasting import WalkForwardSplit

frame = pd.DataFrame({"km": range(100)})
days = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=140), "y": 1.0})
for use in (
    "import walkforward.loadtest",
    "walkforward.serving.Predictor",
    "import walkforward.monitoring",
    "from walkforward.monitoring import PredictionLog",
    "walkforward.plots.use_style()",
    "walkforward.drift.plot_columns(frame, frame)",
    "WalkForwardSplit(7, 3).plot(days)",
    "import walkforward.data",
):
    try:
        exec(use)
    except ImportError as error:
        print(f"{use}: {error}")
"""


def _requirements(wheel: metadata.PathDistribution, extras: set[str]) -> dict[str, metadata.Distribution]:
    """The distributions of this environment that the wheel with these extras asks for, by name."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, frozenset]] = set()
    waiting = [(wheel, frozenset(extras))]
    while waiting:
        distribution, wanted = waiting.pop()
        for need in map(Requirement, distribution.requires or ()):
            if need.marker and not any(need.marker.evaluate({"extra": extra}) for extra in {"", *wanted}):
                continue
            one = canonicalize_name(need.name), frozenset(need.extras)
            if one not in seen:
                seen.add(one)
                found[one[0]] = metadata.distribution(need.name)
                waiting.append((found[one[0]], one[1]))
    return found


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        try:
            target.symlink_to(source)
        except OSError:  # Windows without the right to
            target.write_bytes(source.read_bytes())


class Environment:
    """An environment of its own that has the wheel, with extras, and what they need."""

    def __init__(self, folder: Path, wheel: Path, *extras: str) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        self.folder = folder
        self.programs = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.programs / ("python.exe" if os.name == "nt" else "python")
        run(
            sys.executable,
            "-m",
            "pip",
            "--python",
            self.python,
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            wheel,
        )
        self.packages = Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        ours = metadata.PathDistribution(next(self.packages.glob("walkforward-*.dist-info")))
        self.names = set(_requirements(ours, set(extras)))
        for distribution in _requirements(ours, set(extras)).values():
            for file in distribution.files or ():
                source = Path(distribution.locate_file(file))
                if ".." in file.parts or not source.is_file():
                    continue
                _link(source, self.packages / file)
                if file.suffix == ".py":  # compiled already
                    cache = Path(cache_from_source(str(source)))
                    if cache.is_file():
                        _link(cache, Path(cache_from_source(str(self.packages / file))))

    def run(self, *arguments: object) -> str:
        """Return what its Python prints."""
        return run(self.python, "-I", *arguments, cwd=self.folder)


def run(*command: object, cwd: Path | None = None) -> str:
    """Return what a command prints; a failure is told with its words."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    copytree(ROOT / "src", folder / "src", ignore=ignore_patterns("__pycache__", "*.egg-info", "lessons"))
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    run(*command, "-w", folder, folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def light(wheel, tmp_path_factory) -> Environment:
    return Environment(tmp_path_factory.mktemp("light") / "environment", wheel)


def test_the_light_environment_has_nothing_else(light):
    asked = {"numpy", "pandas", "scipy", "scikit-learn", "joblib", "threadpoolctl", "tqdm", "holidays"}
    behind = {"python-dateutil", "six", "narwhals", "cloudpickle", "tzdata", "colorama", "loky"}
    assert asked <= light.names <= asked | behind


def test_a_backtest_and_a_drift_report_run_with_nothing_else(light):
    printed = json.loads(light.run("-c", f"HEAVY = {sorted(HEAVY)}\n{WORK}"))
    assert printed["rows"] == [21, 21]
    assert max(printed["error"]) < 1e-9
    assert printed["drift"] == {"km": "drift", "zone": "no drift"}
    assert HEAVY.isdisjoint(printed["imported"])
    assert printed["there"] == ["course"]  # the code is in the wheel; what it needs is not


@pytest.mark.parametrize("module", ["forecasting/folds.py", "drift/measures.py"])
def test_an_import_of_matplotlib_at_the_top_is_seen(light, module):
    path = light.packages / "walkforward" / module
    code = path.read_text(encoding="utf-8")
    imports = "from __future__ import annotations\n"
    assert imports in code
    path.write_text(code.replace(imports, imports + "import matplotlib\n", 1), encoding="utf-8")
    try:
        with pytest.raises(AssertionError, match="No module named 'matplotlib'"):
            light.run("-c", f"HEAVY = []\n{WORK}")
    finally:
        path.write_text(code, encoding="utf-8")


def test_a_missing_extra_is_named(light):
    lines = light.run("-W", "ignore", "-c", MISSING).splitlines()
    extras = ["serve", "serve", "monitoring", "monitoring", "plots", "plots", "plots", "course"]
    for line, extra in zip(lines, extras, strict=True):
        assert line.endswith(f'pip install "walkforward[{extra}]"')
    assert "walkforward.data is course.data now" in lines[-1]


@pytest.mark.parametrize(
    "command, words",
    [
        (["python", "-m", "walkforward.serving", "models"], 'pip install "walkforward[serve]"'),
        (["python", "-m", "walkforward"], 'pip install "walkforward[course]"'),
        (["walkforward", "lab"], 'pip install "walkforward[course]"'),
    ],
)
def test_a_command_without_its_extra_ends_in_one_line(light, command, words):
    program = next(light.programs.glob(f"{command[0]}*"))
    done = subprocess.run([program, *command[1:]], capture_output=True, encoding="utf-8", cwd=light.folder)
    assert done.returncode in (1, 2)
    (line,) = [line for line in done.stderr.splitlines() if "Warning" not in line and line.strip()][-1:]
    assert line.startswith("Error: ") and words in line
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_server_runs_with_the_extra(wheel, tmp_path):
    rows = pd.DataFrame({"km": np.arange(50.0), "hour": np.arange(50.0) % 24})
    mlflow.sklearn.save_model(
        LinearRegression().fit(rows, 3 * rows["km"] + 1),
        tmp_path / "model",
        signature=mlflow.models.infer_signature(rows, np.ones(50)),
        pip_requirements=["scikit-learn"],
    )
    place = Environment(tmp_path / "environment", wheel, "serve")
    assert not {"jupyterlab", "pytest", "sqlfluff", "psycopg"} & place.names
    port = listening_port("127.0.0.1", 0)
    command = [place.python, "-I", "-m", "walkforward.serving", str(tmp_path / "model"), "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        body = json.dumps({"dataframe_split": {"columns": ["km", "hour"], "data": [[2.0, 5.0]]}}).encode()
        answer = json.loads(_answer(f"http://127.0.0.1:{port}/invocations", body, server, tmp_path / "log"))
    finally:
        server.terminate()
        server.wait(30)
    assert answer["predictions"] == [pytest.approx(7.0)]


def _answer(url: str, body: bytes, server: subprocess.Popen, log: Path) -> bytes:
    """Ask until the server is up: a minute at most."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    end = monotonic() + 60
    while monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read()
        except ConnectionError:
            sleep(0.2)
        except urllib.error.URLError as error:
            assert isinstance(error.reason, ConnectionError), error
            sleep(0.2)
    raise AssertionError(log.read_text(encoding="utf-8"))
