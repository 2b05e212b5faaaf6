"""The environment: what is noticed, repaired and said; the lock; the Makefile; the doctor."""

import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement

from course.paths import ROOT
from course.student import doctor

_spec = importlib.util.spec_from_file_location("environment", ROOT / "src" / "environment.py")
environment = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(environment)

THIS = f"{sys.version_info[0]}.{sys.version_info[1]}"
BASE = getattr(sys, "_base_executable", sys.executable)
LOCK = [
    Requirement(line)
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SUPPORTED = PROJECT["project"]["requires-python"]
SYSTEMS = [
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
]
EVERYWHERE = [
    {**system, "python_version": python, "python_full_version": f"{python}.5", "extra": ""}
    for system in SYSTEMS
    for python in ("3.11", "3.12", "3.13")
]


# An environment that is finished, made once; each test damages a copy of the small checkout around it.


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("a folder") / "Walk Forward"
    root.mkdir()
    (root / "requirements.txt").write_text("numpy==2.4.6\n", encoding="utf-8")
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    subprocess.run([BASE, "-m", "venv", "--without-pip", str(root / ".venv")], check=True)
    site = next((root / ".venv").glob("[Ll]ib/**/site-packages"))
    (site / "numpy-2.4.6.dist-info").mkdir()
    environment.write_stamp(root)
    return root


@pytest.fixture
def checkout(finished):
    """The finished checkout; what a test damages is put back."""
    kept = finished.with_name("kept")
    shutil.copytree(finished, kept, symlinks=True)
    yield finished
    shutil.rmtree(finished)
    kept.rename(finished)


def test_a_finished_environment_is_current(checkout):
    assert environment.look(checkout) == ("current", "")
    assert environment.look(checkout, THIS) == ("current", "")


def test_line_endings_of_a_windows_checkout_change_nothing(checkout):
    (checkout / "requirements.txt").write_bytes(b"numpy==2.4.6\r\n")
    assert environment.look(checkout)[0] == "current"


def no_venv(root):
    shutil.rmtree(root / ".venv")


def no_stamp(root):
    (root / ".venv" / environment.STAMP).unlink()


def half_a_stamp(root):
    stamp = root / ".venv" / environment.STAMP
    stamp.write_text(stamp.read_text(encoding="utf-8")[:40], encoding="utf-8")


def a_file_for_a_venv(root):
    shutil.rmtree(root / ".venv")
    (root / ".venv").write_text("what?", encoding="utf-8")


def no_interpreter(root):
    environment.interpreter(root / ".venv").unlink()


def an_interpreter_that_does_not_start(root):
    python = environment.interpreter(root / ".venv")
    python.unlink()
    python.write_bytes(b"\x7fELF not really")
    python.chmod(0o755)


def made_elsewhere(root):
    change_stamp(root, path="/somewhere/else")


def made_with_another_python(root):
    change_stamp(root, python="3.10")


def another_lock(root):
    (root / "requirements.txt").write_text("numpy==2.4.7\n", encoding="utf-8")


def other_settings(root):
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")


def a_package_gone(root):
    next((root / ".venv").rglob("numpy-2.4.6.dist-info")).rmdir()


def change_stamp(root, **values):
    stamp = root / ".venv" / environment.STAMP
    stamp.write_text(json.dumps(json.loads(stamp.read_text(encoding="utf-8")) | values), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "state", "reason"),
    [
        (no_venv, "absent", "none yet"),
        (no_stamp, "broken", "never finished"),
        (half_a_stamp, "broken", "never finished"),
        (a_file_for_a_venv, "broken", "never finished"),
        (no_interpreter, "broken", "does not start"),
        (an_interpreter_that_does_not_start, "broken", "does not start"),
        (made_elsewhere, "broken", "/somewhere/else"),
        (made_with_another_python, "broken", "not 3.10"),
        (another_lock, "outdated", "requirements.txt has changed"),
        (other_settings, "outdated", "pyproject.toml has changed"),
        (a_package_gone, "outdated", "numpy-2.4.6 is missing"),
    ],
)
def test_damage_is_noticed(checkout, damage, state, reason):
    damage(checkout)
    found, why = environment.look(checkout)
    assert found == state
    assert reason in why


def test_another_python_is_rebuilt_only_when_it_is_named(checkout):
    assert environment.look(checkout)[0] == "current"
    state, reason = environment.look(checkout, "3.99")
    assert (state, reason) == ("broken", f"it has Python {THIS}, and 3.99 is asked for")


def test_a_current_environment_is_left_alone_and_any_other_is_built(checkout, monkeypatch, capsys):
    built = []
    monkeypatch.setattr(environment, "build", lambda root, state, python: built.append(state))
    environment.ensure(checkout)
    assert built == []
    assert capsys.readouterr().out == ""
    another_lock(checkout)
    environment.ensure(checkout)
    no_stamp(checkout)
    environment.ensure(checkout)
    assert built == ["outdated", "broken"]
    environment.ensure(checkout, force=True)
    said = capsys.readouterr().out
    assert "Updating the environment (requirements.txt has changed)" in said
    assert "Rebuilding the environment (it was never finished)" in said
    assert "Rebuilding the environment (it is asked for)" in said


@pytest.mark.parametrize(
    ("state", "interruption"),
    [
        ("broken", KeyboardInterrupt),
        ("broken", environment.NoNetwork),
        ("outdated", KeyboardInterrupt),
        ("outdated", environment.Fault),
    ],
)
def test_an_interrupted_build_is_half_built(checkout, monkeypatch, state, interruption):
    def stop(*_):
        raise interruption("stopped in the middle")

    monkeypatch.setattr(environment, "find_uv", lambda *_: ["uv"])
    monkeypatch.setattr(environment, "install", stop)
    with pytest.raises(interruption):
        environment.build(checkout, state, BASE)
    assert environment.look(checkout) == ("broken", "it was never finished")


def test_an_update_without_a_network_leaves_the_environment_usable(checkout, monkeypatch, capsys):
    def unreachable(*_):
        raise environment.NoNetwork("no network")

    monkeypatch.setattr(environment, "find_uv", lambda *_: ["uv"])
    monkeypatch.setattr(environment, "install", unreachable)
    another_lock(checkout)
    before = environment.look(checkout)
    assert before[0] == "outdated"
    environment.build(checkout, "outdated", BASE)
    assert environment.look(checkout) == before
    assert "stays as it was" in capsys.readouterr().out


def test_ctrl_c_ends_in_a_line_and_code_130(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "ensure", stop)
    assert environment.main([]) == 130
    assert capsys.readouterr().err == "Stopped: nothing is lost, the next `make env` goes on from here\n"


def test_an_interrupted_command_is_ended(tmp_path, monkeypatch):
    started = []
    popen = subprocess.Popen

    def remember(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[0]

    class Impatient(list):
        def append(self, line):
            raise KeyboardInterrupt

    monkeypatch.setattr(environment.subprocess, "Popen", remember)
    monkeypatch.setattr(
        environment, "print", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt), raising=False
    )
    monkeypatch.setattr(environment.sys, "stderr", SimpleNamespace(isatty=lambda: True))
    command = [sys.executable, "-u", "-c", "import time; print('working'); time.sleep(60)"]
    with pytest.raises(KeyboardInterrupt):
        environment.run(command, tmp_path)
    assert started[0].poll() is not None


# What stands in the way


def test_a_python_that_does_not_fit_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setattr(environment, "other_python", lambda: "")
    for version in ((3, 10, 4), (3, 14, 0)):
        monkeypatch.setattr(environment.sys, "version_info", version)
        monkeypatch.setattr(environment.sys, "version", ".".join(map(str, version)) + " (main)")
        with pytest.raises(environment.Fault) as fault:
            environment.choose_python(this=False)
        assert f"this is {version[0]}.{version[1]}.{version[2]}" in str(fault.value)
        assert "make env PYTHON=" in str(fault.value)


def test_a_python_that_fits_is_taken_from_the_path_unless_one_was_named(monkeypatch):
    monkeypatch.setattr(environment.sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(environment, "other_python", lambda: "/opt/python3.12")
    assert environment.choose_python(this=False) == "/opt/python3.12"
    with pytest.raises(environment.Fault, match=r"3\.11, 3\.12 or 3\.13 is needed"):
        environment.choose_python(this=True)


def test_an_old_python_gets_as_far_as_the_line_that_says_so():
    """Nothing in the file needs a newer Python than 3.6 to be compiled."""
    import ast

    ast.parse((ROOT / "src" / "environment.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_a_folder_that_can_not_be_written(tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(environment.Fault, match=r"can't write in .*put the course into a folder of your own"):
        environment.ensure(blocked / "Walk Forward")


def test_a_full_disk_is_said_before_anything_is_removed(checkout, monkeypatch):
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: SimpleNamespace(free=3e8))
    with pytest.raises(environment.Fault, match=r"0\.3 GB free in .* 3 GB are needed: make room"):
        environment.build(checkout, "broken", BASE)
    assert environment.look(checkout)[0] == "current"


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("Caused by: client error (Connect) cause: tcp connect error", environment.NoNetwork, "no network"),
        ("cause: dns error: failed to lookup address information", environment.NoNetwork, "no network"),
        ("Retrying after connection broken by 'NewConnectionError('", environment.NoNetwork, "no network"),
        ("Could not resolve host: example.org", environment.NoNetwork, "no network"),
        ("error: write failed: No space left on device (os error 28)", environment.Fault, "disk is full"),
        ("error: Failed to parse: `numpy=2`", environment.Fault, "Failed to parse: `numpy=2`"),
    ],
)
def test_a_failed_install_is_one_line_with_its_cause(tmp_path, line, kind, words):
    fault = environment.explain(["Resolved 225 packages", line], tmp_path)
    assert type(fault) is kind
    assert words in str(fault)
    assert "\n" not in str(fault)


def test_a_failed_command_raises_with_its_last_words(tmp_path):
    code = "import sys; print('+ numpy'); print('Resolved'); sys.exit('no such thing')"
    with pytest.raises(environment.Fault, match="^the install failed: Resolved no such thing$"):
        environment.run([sys.executable, "-u", "-c", code], tmp_path)


def test_without_a_network_uv_goes_on_from_its_cache(tmp_path, monkeypatch, capsys):
    commands = []

    def run(command, root):
        commands.append(command)
        if "--offline" not in command:
            raise environment.NoNetwork("no network")

    monkeypatch.setattr(environment, "run", run)
    environment.install(["uv"], tmp_path, "python")
    assert [command[-1] for command in commands] == [".", "--offline"]
    assert "No network: installed from uv's cache" in capsys.readouterr().out


def test_variables_that_would_bend_an_install_are_dropped(monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PIP_TARGET"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    env = environment.clean_env()
    assert not {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PIP_TARGET"} & set(env)
    assert env["HTTPS_PROXY"] == "http://127.0.0.1:9"


def test_removing_a_link_leaves_what_it_leads_to(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "answer.txt").write_text("42", encoding="utf-8")
    try:
        (tmp_path / ".venv").symlink_to(tmp_path / "mine", target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    environment.remove(tmp_path / ".venv")
    assert not os.path.lexists(tmp_path / ".venv")
    assert (tmp_path / "mine" / "answer.txt").read_text(encoding="utf-8") == "42"


def test_clean_keeps_the_students_work(checkout):
    (checkout / "work").mkdir()
    (checkout / "work" / "00_start_here.ipynb").write_text("mine", encoding="utf-8")
    (checkout / "src" / "__pycache__").mkdir(parents=True)
    environment.clean(checkout)
    left = {path.name for path in checkout.iterdir()}
    assert left == {"work", "src", "requirements.txt", "pyproject.toml"}
    assert not (checkout / "src" / "__pycache__").exists()
    assert (checkout / "work" / "00_start_here.ipynb").read_text(encoding="utf-8") == "mine"


def test_a_second_build_waits_and_a_killed_one_leaves_no_lock(tmp_path, capsys):
    holder = (
        "import importlib.util, pathlib, sys, time\n"
        "spec = importlib.util.spec_from_file_location('environment', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "with module.alone(pathlib.Path(sys.argv[2])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    script = str(ROOT / "src" / "environment.py")
    process = subprocess.Popen(
        [sys.executable, "-c", holder, script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        waiter = subprocess.Popen(
            [sys.executable, "-c", holder.replace("time.sleep(60)", "pass"), script, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "waiting" in waiter.stdout.readline()
        assert waiter.poll() is None
        process.kill()
        process.wait()
        assert waiter.communicate(timeout=20)[0] == "held\n"
        assert waiter.returncode == 0
    finally:
        process.kill()
        process.wait()


# The lock


@pytest.mark.parametrize("name", ["numpy", "scipy", "pandas", "scikit-learn", "prophet", "matplotlib"])
def test_what_computes_has_one_version_everywhere(name):
    assert Counter(wanted.name for wanted in LOCK)[name] == 1
    assert next(wanted for wanted in LOCK if wanted.name == name).marker is None


def test_xgboost_is_the_same_version_under_both_names():
    builds = [wanted for wanted in LOCK if wanted.name in {"xgboost", "xgboost-cpu"}]
    assert len(builds) == 2
    assert len({str(wanted.specifier) for wanted in builds}) == 1
    for place in EVERYWHERE:
        assert sum(wanted.marker.evaluate(place) for wanted in builds) == 1


def test_every_dependency_is_locked_within_its_range_on_every_system():
    groups = [PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values()]
    named = [Requirement(text) for group in groups for text in group]
    declared = [wanted for wanted in named if wanted.name != "walkforward"]  # an extra that holds another
    for place in EVERYWHERE:
        locked = {}
        for wanted in LOCK:
            if wanted.marker is None or wanted.marker.evaluate(place):
                assert wanted.name not in locked, f"{wanted.name} twice in {place}"
                locked[wanted.name] = str(wanted.specifier).removeprefix("==")
        for wanted in declared:
            if wanted.marker is None or wanted.marker.evaluate(place):
                assert wanted.name in locked, f"{wanted.name} is not locked for {place}: run `make lock`"
                assert wanted.specifier.contains(locked[wanted.name]), f"{wanted}: run `make lock`"


def test_the_lock_holds_every_extra():
    """`dev` holds the course, the course what can be taken to work: each extra is locked with it."""
    extras = PROJECT["project"]["optional-dependencies"]
    held, waiting = set(), {"dev"}
    while waiting:
        name = waiting.pop()
        held.add(name)
        for wanted in map(Requirement, extras[name]):
            if wanted.name == "walkforward":
                waiting |= wanted.extras - held
    assert held == set(extras)


def test_what_is_taken_to_work_is_light():
    light = {Requirement(text).name for text in PROJECT["project"]["dependencies"]}
    assert light == {
        *("numpy", "pandas", "scipy", "scikit-learn"),
        *("joblib", "threadpoolctl", "tqdm", "holidays"),
    }
    assert not any("==" in text or "<" in text for text in PROJECT["project"]["dependencies"])


def test_a_package_without_a_wheel_somewhere_is_named_with_the_way_out(tmp_path, monkeypatch):
    """A stand-in for uv that finds no wheel on Python 3.13, in uv's own words."""
    stand_in = tmp_path / "uv.py"
    stand_in.write_text(
        "import sys\n"
        "assert '--only-binary' in sys.argv or '--extra' in sys.argv\n"
        "if '3.13' in sys.argv:\n"
        "    print('Because slow{os_name != nt}==2.0.1 has no usable wheels', file=sys.stderr)\n"
        "    sys.exit(1)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(environment, "find_uv", lambda *_: [sys.executable, str(stand_in)])
    with pytest.raises(environment.Fault) as found:
        environment.lock(tmp_path, upgrade=False)
    lines = str(found.value).splitlines()
    assert len(lines) == 1 + len(environment.PLATFORMS)
    assert (
        lines[1] == "  slow==2.0.1 on Python 3.13, x86_64-manylinux_2_28: give it a marker in pyproject.toml"
    )


def test_the_lock_names_versions_its_command_and_no_host():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert f"uv {environment.LOCK_COMMAND}" in text
    assert all(re.fullmatch(r"==[^,*]+", str(wanted.specifier)) for wanted in LOCK)
    assert "://" not in text
    assert "--" not in text.split("requirements.txt", 1)[1]


def test_every_dependency_says_where_it_is_used():
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index("dependencies = [")
    end = next(number for number, line in enumerate(lines) if line.startswith("[project.scripts]"))
    named = [line for line in lines[start:end] if line.startswith('    "')]
    assert len(named) > 30
    assert [line for line in named if "#" not in line] == []


def test_conda_and_binder_get_the_same():
    described = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python = re.search(r"--python-version (\S+)", environment.LOCK_COMMAND).group(1)
    assert f"python={python}" in described["dependencies"]
    assert {"pip": ["-r requirements.txt", "-e ."]} in described["dependencies"]


def test_the_supported_pythons_are_the_same_everywhere():
    allowed = {
        f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in Requirement("x" + SUPPORTED).specifier
    }
    assert allowed == {"3.11", "3.12", "3.13"}
    assert doctor.PYTHONS == Requirement("x" + SUPPORTED).specifier
    assert (environment.OLDEST, environment.NEWEST) == ((3, 11), (3, 13))
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"]) == allowed


# make, and the services that run it


def test_help_lists_every_target():
    if not shutil.which("make"):
        pytest.skip("no make here")
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.*)$", text, re.M).group(1).split())
    assert targets == set(re.findall(r"^([a-z]+):", text, re.M))
    done = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make (\S+)  +\S", done.stdout, re.M)) == targets
    lines = [line for line in done.stdout.splitlines() if line.startswith("  make")]
    assert len(lines) < 24
    assert max(map(len, lines)) <= 100


def test_a_named_python_and_force_reach_the_script():
    if not shutil.which("make"):
        pytest.skip("no make here")

    def asked(*arguments):
        done = subprocess.run(
            ["make", "-n", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHON"},
        )
        return next(line for line in done.stdout.splitlines() if "environment.py" in line)

    assert asked("env").split()[1:] == ["src/environment.py"]
    assert asked("env", "PYTHON=/a b/python3.12") == '"/a b/python3.12" src/environment.py --this-python '
    assert asked("env", "FORCE=1").split()[-1] == "--force"
    assert "--force" not in asked("lessons", "FORCE=1")


@pytest.mark.parametrize("name", ["ci.yml", "weekly.yml", "pages.yml"])
def test_workflows_can_not_be_green_by_mistake(name):
    """No step may swallow a failure; a cache may not outlive the lock; foreign actions are pinned."""
    workflow = yaml.safe_load((ROOT / ".github/workflows" / name).read_text(encoding="utf-8"))
    assert workflow["defaults"]["run"]["shell"] == "bash"
    for job in workflow["jobs"].values():
        assert "continue-on-error" not in job
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert "continue-on-error" not in step
            assert "||" not in step.get("run", "")
            owner, _, version = step.get("uses", "actions/x@v1").partition("@")
            assert re.fullmatch(r"v\d+", version) if owner.startswith("actions/") else len(version) == 40
            if owner == "actions/cache":
                assert "hashFiles('requirements.txt')" in step["with"]["key"]
                assert "restore-keys" not in step["with"]


def test_ci_run_stops_at_a_failure():
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    assert text.rstrip().endswith("make test")


# The doctor


@pytest.fixture
def lock_file(tmp_path):
    def write(*lines):
        path = tmp_path / "requirements.txt"
        path.write_text("\n".join(["# a comment", *lines]) + "\n", encoding="utf-8")
        return path

    return write


PYTEST = f"pytest=={pytest.__version__}"


def test_packages_as_locked(lock_file):
    finding = doctor.packages(lock_file(PYTEST, "gone==1.0 ; python_version < '3'"))
    assert finding == ("ok", "1 packages as locked", "")


def test_a_missing_package_is_a_fault_with_its_name_and_the_way_out(lock_file):
    finding = doctor.packages(lock_file(PYTEST, "no-such-package==1.0"))
    assert finding.state == "fault"
    assert "no-such-package is missing" in finding.text
    assert "make env" in finding.way_out or "pip install -r" in finding.way_out


def test_another_version_is_a_note_with_both_versions(lock_file):
    finding = doctor.packages(lock_file("pytest==0.1"))
    assert finding.state == "note"
    assert f"pytest {pytest.__version__}, the lock has 0.1" in finding.text


def test_no_lock_is_a_fault(tmp_path):
    assert doctor.packages(tmp_path / "requirements.txt").state == "fault"


@pytest.mark.parametrize(
    ("version", "state"), [("3.12.1", "ok"), ("3.13.7", "note"), ("3.13.8", "ok"), ("3.13.12", "ok")]
)
def test_a_python_that_does_not_end_recursion_is_noted(monkeypatch, version, state):
    monkeypatch.setattr(doctor.platform, "python_version", lambda: version)
    found = doctor.python_version()
    assert found.state == state and (state == "ok" or "Python 3.13.8 ends it" in found.way_out)


def test_an_old_python_is_a_fault(monkeypatch):
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.10.2")
    assert doctor.python_version()[:2] == ("fault", "Python 3.10.2")


def test_changed_data_is_a_fault(monkeypatch):
    monkeypatch.setattr(doctor, "changed_data", lambda: ["data/births.parquet has changed: get it back"])
    assert doctor.data_files() == ("fault", "data: data/births.parquet has changed: get it back", "")


def test_a_folder_that_can_not_be_written_is_a_fault(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "file" / "work"))
    report = {finding.state: finding for finding in doctor.findings()}
    assert str(tmp_path / "file" / "work") in report["fault"].text
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    assert doctor.write_access().state == "ok"
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "file" / "state"))
    assert doctor.write_access().state == "fault"


def test_no_room_is_a_fault(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=1e8))
    assert doctor.disk_space() == ("fault", "0.1 GB of disk free", "make 0.5 GB of room")


def test_a_browser_and_git_are_optional(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    monkeypatch.setattr(doctor.browser, "APPLICATIONS", ())
    assert doctor.chromium().state == doctor.git().state == "note"


def ok():
    return doctor.Finding("ok", "fine")


def optional():
    return doctor.Finding("note", "no git", "needed for newer lessons")


def faulty():
    return doctor.Finding("fault", "data: Zürich", "get it back")


def crashing():
    raise RuntimeError("half an import")


@pytest.mark.parametrize(("checks", "code"), [((ok, optional), 0), ((faulty, ok), 1), ((crashing, ok), 1)])
def test_only_a_fault_fails_and_every_check_is_run(monkeypatch, capsys, checks, code):
    monkeypatch.setattr(doctor, "CHECKS", checks)
    assert doctor.run_checks() == code
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(checks)
    if checks[0] is crashing:
        assert lines[0].startswith("✗ crashing: RuntimeError: half an import: ")
    if checks[1] is optional:
        assert lines == ["✓ fine", "○ no git: needed for newer lessons"]


def test_a_terminal_without_utf_8_gets_ascii(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    monkeypatch.setattr(doctor, "CHECKS", (ok, optional, faulty))
    assert doctor.run_checks() == 1
    lines = raw.getvalue().decode("ascii").splitlines()
    assert lines == [
        "[ok] fine",
        "[--] no git: needed for newer lessons",
        "[!!] data: Z\\xfcrich: get it back",
    ]


# The real thing


@pytest.mark.slow
def test_a_clone_with_a_space_in_its_path_under_a_read_only_folder(tmp_path):
    """Built from uv's cache alone, so it needs no network, and is skipped where there is no such cache."""
    if not shutil.which("make"):
        pytest.skip("no make here")
    parent = tmp_path / "read only"
    clone = parent / "Walk Forward"
    clone.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone / name)
    shutil.copytree(ROOT / "src", clone / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    home = tmp_path / "home"
    home.mkdir()
    # Without what an outer `make test` tells its children: inside it, make announces every folder it enters.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    cache = subprocess.run(
        [*(environment.find_uv([sys.executable, "-m", "uv"]) or pytest.skip("no uv here")), "cache", "dir"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    env |= {"HOME": str(home), "USERPROFILE": str(home), "UV_CACHE_DIR": cache, "UV_OFFLINE": "1"}

    def make(*arguments):
        start = time.perf_counter()
        done = subprocess.run(
            ["make", *arguments, f"PYTHON={BASE}"], cwd=clone, env=env, capture_output=True, text=True
        )
        return done, time.perf_counter() - start

    parent.chmod(0o555)
    try:
        done, _ = make("env")
        if done.returncode and "cache" in done.stderr:
            pytest.skip("uv's cache does not hold the whole lock")
        assert done.returncode == 0, done.stderr
        assert "Building the environment (there is none yet)" in done.stdout
        again, seconds = make("env")
        assert (again.returncode, again.stdout) == (0, "")
        assert seconds < 3  # 0.1 s; a loaded machine takes its time
        python = environment.interpreter(clone / ".venv")
        where = subprocess.run(
            [str(python), "-c", "import numpy, walkforward; print(walkforward.ROOT)"],
            cwd=tmp_path,
            env=environment.clean_env(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert Path(where.stdout.strip()) == clone.resolve()
        next((clone / ".venv").rglob("click-*.dist-info/METADATA")).parent.rename(clone / "gone")
        repaired, _ = make("env")
        assert "Updating the environment (click-" in repaired.stdout
        assert environment.look(clone) == ("current", "")
        assert [path.name for path in parent.iterdir()] == ["Walk Forward"]
        assert list(home.iterdir()) == []
    finally:
        parent.chmod(0o755)
        shutil.rmtree(clone / ".venv", ignore_errors=True)  # two gigabytes
