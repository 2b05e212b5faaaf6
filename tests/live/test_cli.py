"""The command: its help fits a screen, wrong calls end in one line, the lab leaves nothing behind."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from test_servers import descendants, gone, is_open

from course.cli import main
from course.student import lab, report
from course.student.workspace import find_lesson

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals to a process are POSIX")


@pytest.fixture
def call(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # whatever the terminal's width is
    return lambda *arguments: CliRunner().invoke(main, arguments)


# Help and bad input


@pytest.mark.parametrize("command", ["", "lab", "doctor", "run", "progress", "reset"])
def test_help_fits_a_screen(call, command):
    shown = call(*command.split(), "--help")
    assert shown.exit_code == 0
    lines = shown.output.rstrip().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "..." not in re.sub(r"\]\.\.\.|\.\.\. with", "", shown.output)  # nothing is cut off


def test_help_names_every_command_and_is_shown_without_any(call):
    assert call().output == call("--help").output
    for command in ("lab", "doctor", "run", "progress", "reset"):
        assert re.search(rf"^  {command}\s+[A-Z]", call().output, re.MULTILINE)
    assert call().exit_code == 0
    assert re.search(r"^    walkforward lab +start the course$", call().output, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], "No such command 'bogus'."),
        (["reset"], "Missing argument 'LESSON'."),
        (["lab", "--port"], "No such option"),
        (["run", "-p", "months"], "Option '-p' requires 2 arguments."),
        (["run", "-p", "months", "3", "-p", "months", "4"], "-p months stands twice: give it once"),
        (["progress", "01"], "Got unexpected extra argument (01)"),
        (["reset", "99"], "99"),
        (["run", "99"], "99"),
        (["lab", "99"], "99"),
        (["run", "../01"], "../01"),
    ],
)
def test_a_wrong_call_ends_in_one_line(call, arguments, message):
    shown = call(*arguments)
    assert shown.exit_code == 2
    assert re.fullmatch(r"Error: .*\n", shown.stderr)
    assert message in shown.stderr
    assert shown.stdout == ""


def test_an_error_of_many_lines_is_told_in_one(call, monkeypatch):
    from course.student import workspace

    def fail(path):
        raise workspace.WorkspaceError("the copy of lesson 01\n  is not a notebook")

    monkeypatch.setattr(report, "show_progress", fail)
    shown = call("progress")
    assert (shown.exit_code, shown.stderr) == (2, "Error: the copy of lesson 01 is not a notebook\n")


@pytest.mark.parametrize(
    ("fails", "error"),
    [
        (lambda: {}["id"], KeyError),
        (lambda: {}.missing, AttributeError),
        (lambda: int("id"), ValueError),
        (lambda: [][1], IndexError),
        (lambda: Path("/no/such/file").stat(), FileNotFoundError),
        (lambda: next(iter([])), StopIteration),
    ],
)
def test_a_defect_of_ours_is_not_hidden(call, monkeypatch, fails, error):

    monkeypatch.setattr(report, "show_progress", lambda path: fails())
    shown = call("progress")
    assert isinstance(shown.exception, error)
    assert shown.exit_code == 1
    assert "Error: " not in shown.output


def test_a_defect_of_ours_shows_its_traceback(tmp_path):
    program = (
        "from course.student import report\nreport.show_progress = lambda path: {}['id']\n"
        "import sys; sys.argv = ['walkforward', 'progress']\nfrom course.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last)")
    assert done.stderr.splitlines()[-1] == "KeyError: 'id'"


@POSIX
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["progress", "story list"])
def test_what_is_printed_into_nothing_is_no_defect(tmp_path, command, unbuffered):
    env = os.environ | {"WALKFORWARD_STATE": str(tmp_path), "PYTHONUNBUFFERED": unbuffered}
    call = [sys.executable, "-m", "course", *command.split()]
    reader, writer = os.pipe()
    os.close(reader)  # as `| head -1` does
    done = subprocess.run(call, stdout=writer, stderr=subprocess.PIPE, text=True, env=env)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True, env=env)
        assert done.returncode == 1
        assert re.fullmatch("Error: what is printed can't be written .*: make room\n", done.stderr)


def test_help_imports_nothing_heavy():
    heavy = "{'mlflow', 'pandas', 'numpy', 'papermill', 'nbformat', 'psutil'} & set(sys.modules)"
    program = f"import sys, course.cli; sys.exit(str({heavy}) if {heavy} else 0)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_exit_code_is_that_of_the_command(call, monkeypatch):
    from course.student import doctor

    monkeypatch.setattr(doctor, "run_checks", lambda: 1)
    assert call("doctor").exit_code == 1


# The lab


class Lab:
    """A lab in a process of its own; its work folder has a space in its name."""

    def __init__(self, work: Path):
        self.work = work
        own = {
            "CONFIG": "config",
            "RUNTIME": "runtime",
            "DATA": "data",
        }  # not those of whoever runs the tests
        self.home = {f"JUPYTER_{name}_DIR": str(work.parent / folder) for name, folder in own.items()}
        self.home["WALKFORWARD_STATE"] = str(work.parent / "state")
        self.began = time.monotonic()
        self.process = self.call()
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if "Ctrl-C stops both" in line:
                break
        found = re.search(r"JupyterLab +(http\S+)\nMLflow +(http\S+)", self.output)
        assert found, self.output
        self.seconds = time.monotonic() - self.began
        self.jupyter, self.mlflow = found.groups()

    def call(self, *lesson: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "course", "lab", "--no-browser", *lesson],
            env=os.environ | {"WALKFORWARD_WORK": str(self.work)} | self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def post(self, path: str, **body: object) -> dict:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.mlflow}/api/2.0/mlflow/{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def labs(tmp_path_factory):
    """Starts labs in one work folder, one after the other."""
    with contextlib.ExitStack() as stack:
        work = tmp_path_factory.mktemp("a student's work") / "work"

        def start() -> Lab:
            running = Lab(work)
            stack.callback(running.end)
            return running

        yield start


@POSIX
def test_the_lab_is_stopped_by_ctrl_c_and_by_kill_and_keeps_the_runs(labs):
    running_lab = labs()
    work = running_lab.work
    token = re.search(r"token=(\w+)$", running_lab.jupyter)[1]
    with urllib.request.urlopen(
        running_lab.jupyter.replace("/lab/tree/", "/api/contents/"), timeout=10
    ) as answer:
        assert json.load(answer)["name"] == find_lesson("00").name  # the student's copy is there
    assert token not in " ".join(command_lines())  # everybody may read those
    assert stat.S_IMODE((work / ".lab.json").stat().st_mode) == 0o600
    assert (work / "mlflow" / "mlflow.db").is_file()
    running_lab.post("runs/create", experiment_id="0", run_name="yesterday")

    second = running_lab.call("13")
    told, _ = second.communicate(timeout=30)
    assert second.returncode == 0
    assert "running already" in told
    first, opened = find_lesson("00").name, find_lesson("13").name
    assert running_lab.jupyter.replace(f"/{first}?", f"/{opened}?") in told, (
        "a chapter opens its first sitting"
    )

    pids = descendants(running_lab.process.pid)
    assert len(pids) >= 5  # two supervisors, JupyterLab, MLflow's two
    os.killpg(running_lab.process.pid, signal.SIGINT)
    rest, _ = running_lab.process.communicate(timeout=30)
    assert running_lab.process.returncode == 0
    assert "your work and your runs are kept" in rest
    assert gone(pids, 0.5)
    assert not is_open(running_lab.jupyter)
    assert not is_open(running_lab.mlflow)
    assert not (work / ".lab.json").exists()

    # The next morning: the runs are there. This one ends without a chance to clean up.
    running_lab = labs()
    runs = running_lab.post("runs/search", experiment_ids=["0"])["runs"]
    assert [run["info"]["run_name"] for run in runs] == ["yesterday"]
    # A kernel runs as well; JupyterLab gives it a session of its own.
    address = urlsplit(running_lab.jupyter)
    request = urllib.request.Request(
        f"http://{address.netloc}/api/kernels?{address.query}", b'{"name": "python3"}', method="POST"
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 201
    pids = descendants(running_lab.process.pid)
    assert len(pids) >= 6
    running_lab.end()
    assert gone(pids, 12)
    assert not is_open(running_lab.jupyter)
    assert not is_open(running_lab.mlflow)
    assert (work / ".lab.json").exists()
    assert lab.running_lab(work / ".lab.json") is None


@POSIX
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_polite_end_is_a_stop(name):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), lab._stoppable():
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) is before


def test_kernels_know_the_server_and_stay_quiet(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    monkeypatch.setenv("no_proxy", "example.org")
    env = lab._jupyter(tmp_path, "x.ipynb", "http://127.0.0.1:9", "secret").server_env
    assert env["MLFLOW_TRACKING_URI"] == env["WALKFORWARD_TRACKING_URI"] == "http://127.0.0.1:9"
    assert env["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert env["no_proxy"] == "example.org,127.0.0.1,localhost"


def command_lines() -> list[str]:
    import psutil

    return [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]


def test_a_fault_that_the_doctor_finds_keeps_the_lab_shut(tmp_path, monkeypatch, capsys):
    from course.student import doctor

    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path))
    monkeypatch.setattr(doctor, "run_checks", lambda: 1)
    assert lab.run_lab(browser=False) == 1
    assert "put right what is marked" in capsys.readouterr().err


@pytest.mark.parametrize(
    "note", ["", "{}", "[]", "null", '{"pid": 1, "started": 0, "address": "http://127.0.0.1:9"}']
)
def test_a_damaged_note_counts_as_no_lab(tmp_path, note):
    (tmp_path / ".lab.json").write_text(note)
    assert lab.running_lab(tmp_path / ".lab.json") is None
