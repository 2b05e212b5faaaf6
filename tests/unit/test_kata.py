"""A kata in the terminal: the editor, the real check, the log, and a draft that nothing takes away."""

import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from spawned import environment

from course import cli, progress
from course.exercise import source
from course.practice import kata
from course.practice.reviews import State

TERMINAL = pytest.mark.skipif(os.name != "posix", reason="pexpect's terminal is POSIX")
RIGHT = "def middle_element(items):\n    if len(items) == 0:\n        raise ValueError('none')\n"
RIGHT += "    return items[(len(items) - 1) // 2]\n"
SECOND = "def middle_element(items):\n    if not items:\n        raise ValueError('none')\n"
SECOND += "    return items[len(items) // 2]\n"
ENDLESS = "def middle_element(items):\n    while True:\n        pass\n"
FILE = source.FOLDER / "I1_coding.py"


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "state"


def piped(text, *words):
    """Run the command here, with a script's input; the checks run in a process of their own all the same."""
    done = CliRunner().invoke(cli.main, ["kata", *words], input=text)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


def started(text, *words, **env):
    """Run the command as it is started in a shell, with a script's input; return the process as it ended."""
    command = [sys.executable, "-m", "course", "kata", *words]
    return subprocess.run(
        command, input=text, capture_output=True, encoding="utf-8", env=os.environ | env, timeout=120
    )


def written(tmp_path, *answers):
    """Return an EDITOR that appends one answer each time it is opened."""
    for place, answer in enumerate(answers):
        (tmp_path / f"answer{place}").write_text(answer)
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "here = pathlib.Path(__file__).parent\n"
        "count = here / 'opened'\n"
        "place = int(count.read_text()) if count.exists() else 0\n"
        "count.write_text(str(place + 1))\n"
        "with open(sys.argv[1], 'a') as out:\n"
        "    out.write('\\n\\n' + (here / f'answer{place}').read_text())\n"
    )
    return f"'{sys.executable}' '{script}'"


def spawn(*words, columns=100, limit=None, **env):
    pexpect = pytest.importorskip("pexpect")
    program = "from course.practice import kata\n"
    program += f"kata.LIMIT = {limit}\n" if limit else ""
    return pexpect.spawn(
        sys.executable,
        ["-c", program + "from course import cli\ncli.main()", "kata", *words],
        env=environment(TERM="xterm", NO_COLOR="1") | env,
        encoding="utf-8",
        timeout=60,
        dimensions=(40, columns),
    )


def ended(child):
    child.expect(pytest.importorskip("pexpect").EOF)
    child.close()
    return child.exitstatus


# ------------------------------------------------- names and the list
def test_the_katas_of_the_coding_lessons_are_found_and_of_no_other():
    assert kata.names("I1") == source.names(FILE)
    assert kata.names("i1") == kata.names("I1") and kata.names("I3") == [] and kata.names("13") == []
    assert kata.names()[: len(kata.names("I1"))] == kata.names("I1")
    grouped = [name for held in kata.patterns().values() for name in held]
    assert sorted(grouped) == sorted(kata.names()), "each stands under one pattern"


def test_a_module_of_i5_is_found_without_a_change(tmp_path, monkeypatch):
    (tmp_path / "I5_sql_and_pandas.py").write_text(
        "from course.exercise import right\n\n\n@right\ndef top_rows(rows):\n    'Task.'\n    return rows\n"
    )
    (tmp_path / "I3_debugging.py").write_text("@right\ndef repair(x):\n    '''Task.'''\n")
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    assert kata.names() == kata.names("I5") == ["top_rows"]
    assert kata.patterns() == {"sql and pandas": ["top_rows"]}


def test_an_unknown_name_is_one_line_with_the_way_out():
    done = started("", "midle_element")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: there is no kata 'midle_element'; did you mean middle_element")
    assert "`walkforward kata` lists them" in piped("", "zzz").stderr


def test_names_are_completed():
    shell = {
        "_WALKFORWARD_COMPLETE": "bash_complete",
        "COMP_WORDS": "walkforward kata mean",
        "COMP_CWORD": "2",
    }
    program = "from course.cli import main\nmain(prog_name='walkforward')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | shell, timeout=60
    )
    assert done.stdout.split() == ["plain,mean_by"]


def test_the_list_says_what_was_passed_tried_and_begun():
    kata.begin("first_bad")
    piped(SECOND, "middle_element")
    assert re.search(r"^  · middle_element +tried$", piped("").stdout, re.M)
    piped(RIGHT, "middle_element")
    shown = piped("").stdout
    assert re.search(r"^  ✓ middle_element +passed in \d:\d\d$", shown, re.M)
    assert re.search(r"^  {5}first_bad +begun$|^    first_bad +begun$", shown, re.M)
    assert f"Passed here: 1 of {len(kata.names())}." in shown


# ------------------------------------------------- the check is the notebook's
def test_a_right_answer_passes_is_logged_and_leaves_the_notebooks_progress_alone():
    done = started(RIGHT, "middle_element", "--minutes", "5")
    assert done.returncode == 0 and "✓ middle_element: 4 of 4 checks passed" in done.stdout
    said = " ".join(done.stdout.split())
    assert "Shown in I1_coding.ipynb, The middle of an array" in said
    assert "Idea. Work the place out on two and three elements: `(n - 1) // 2`." in said
    assert "Next question: and in a DataFrame? `iloc`, by position" in said
    (attempt,) = State().attempts("kata")
    assert (attempt.name, attempt.passed, attempt.detail["tries"]) == ("middle_element", True, 1)
    assert not progress.progress_file().exists()
    assert "Answers here and in the notebook are separate" in " ".join(done.stdout.split())


def test_a_wrong_answer_says_what_the_notebook_says():
    done = started(SECOND, "middle_element")
    assert done.returncode == 1
    module = source.load(FILE)
    said = module.middle_element.exercise.run(module.takes_the_second_of_two)
    assert said.message in " ".join(done.stdout.split())
    assert "✗ middle_element: 1 of 4 checks passed" in done.stdout


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("def middle_element(items)\n    pass\n", "expected ':'"),
        ("1 / 0\n", "the draft raises ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", "the draft raises SystemExit: 3"),
        ("del middle_element\n", "the draft defines no middle_element"),
        ("import os\nos._exit(7)\n", "ended the program with code 7"),
        ("middle_element = 3\n", "Give a function, not this int."),
        ("print('traced')\n", "| traced"),
        ("", "not attempted yet"),
    ],
)
def test_an_answer_that_does_not_run_is_said_in_words(answer, said):
    done = piped(answer, "middle_element")
    assert done.returncode == 1
    assert said in " ".join(done.stdout.split()) and "Traceback" not in done.stdout + done.stderr


def test_a_kata_of_sql_runs_by_the_same_command():
    module = source.FOLDER / "I5_sql_and_pandas.py"
    name = source.names(module)[0]
    assert name in kata.names("I5") and name in kata.names()
    right = source.solution_source(module, name)
    assert piped(right, name).returncode == 0
    done = piped(f"def {name}(*given):\n    return 'SELECT 1', lambda *frames: frames[0]\n", name)
    assert done.returncode == 1 and f"✗ {name}: 0 of " in done.stdout and "Traceback" not in done.stdout
    assert [one.passed for one in State().attempts("kata")] == [True, False]


def test_what_the_notebook_imports_is_imported():
    assert piped("def top_k(stream, k):\n    return heapq.nlargest(k, stream)\n", "top_k").returncode == 0
    assert "heapq" in kata.draft("top_k").read_text().partition("def top_k")[0]


def test_the_solution_is_not_in_reach_of_the_draft():
    done = piped("found = [name for name in globals() if name.startswith('middle')]\nprint(found)\n", "top_k")
    assert "| []" in done.stdout


def test_an_endless_loop_is_ended(monkeypatch, capsys):
    monkeypatch.setattr(kata, "LIMIT", 2.0)
    file = kata.begin("middle_element")
    file.write_text(ENDLESS)
    said = kata.judged("middle_element", file)
    assert not said.passed
    assert "did not end within 2 seconds and was stopped; look for a loop that never ends" in said.text
    assert said.hint.startswith("Write the places down"), "the hint of the first check"


def test_an_endless_loop_ends_even_when_nobody_waits_for_it_any_more(tmp_path):
    file = kata.begin("middle_element")
    file.write_text(ENDLESS)
    command = [
        sys.executable,
        "-m",
        "course.practice.kata",
        "middle_element",
        str(file),
        str(tmp_path / "s"),
        "0",
    ]
    assert subprocess.run(command, timeout=60).returncode == -signal.SIGALRM


def test_what_an_answer_prints_is_cut(monkeypatch):
    done = piped("for n in range(10_000):\n    print('line', n)\n" + RIGHT, "middle_element")
    assert done.returncode == 0
    assert done.stdout.count("| line") == kata.PRINTED and "| line 9999" in done.stdout


def test_a_value_is_checked_with_the_names_of_its_context(tmp_path, monkeypatch):
    (tmp_path / "I5_values.py").write_text(
        "from course.exercise import checks, right\n\n\ndef context():\n    return {'rows': [1, 2]}\n\n\n"
        "@right(value=True)\ndef total(rows):\n    '''Bind the sum.'''\n    return sum(rows)\n\n\n"
        "@checks(total)\ndef is_three(answer):\n    '''Add.'''\n    assert answer == 3, f'not {answer}'\n"
    )
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    file = kata.begin("total")
    assert "total = TODO" in file.read_text()
    assert kata._judge("total", file).status == "not attempted"
    file.write_text("total = sum(rows)\n")
    assert kata._judge("total", file).passed
    file.write_text("total = max(rows)\n")
    assert "not 2" in kata._judge("total", file).text


def test_what_the_notebook_says_below_each_kata_is_told_in_plain_text():
    for name in kata.names("I1"):
        text = kata.told(name)
        assert text.startswith("Idea. ") and "\nNext question: " in text
        assert not re.search(r"<|\*|\]\(", re.sub(r"`[^`]*`", "", text)), text
    assert "`heapq.merge(*logs, key=...)`" in kata.told("merge_logs"), "code is as it is"
    assert "Many, walking forward." in kata.told("split_by_time"), "a link is its words"
    assert all("They ask next. " in kata.told(name) for name in kata.names("I5")), "also below a measurement"
    assert "COUNT(*) AS card_trips" in kata.told("dear_zones")


# ------------------------------------------------- the draft
def test_a_draft_is_begun_once_and_never_written_over():
    file = kata.begin("top_k")
    assert source.stub_source(FILE, "top_k") in file.read_text()
    file.write_text("my own\n")
    assert kata.begin("top_k").read_text() == "my own\n"
    assert [path.name for path in file.parent.iterdir()] == ["top_k.py"]


def test_after_a_pass_the_kata_begins_anew_and_the_answer_is_kept():
    piped(RIGHT, "middle_element")
    assert RIGHT in kata.draft("middle_element").read_text(), "it stays until the kata is begun again"
    file = kata.begin("middle_element")
    assert "TODO" in file.read_text() and "// 2" not in file.read_text()
    assert RIGHT in file.with_name("middle_element.1.py").read_text()
    file.write_text("begun again\n")
    assert kata.begin("middle_element").read_text() == "begun again\n"
    file.write_text(RIGHT + "# shorter\n")
    kata.keep(file)
    kata.keep(file)
    assert "TODO" in kata.begin("middle_element").read_text()
    assert "# shorter" in file.with_name("middle_element.2.py").read_text()
    names = ["middle_element.1.py", "middle_element.2.py", "middle_element.py"]
    assert sorted(path.name for path in file.parent.glob("[!.]*")) == names


def test_a_draft_that_was_edited_after_it_passed_stays():
    piped(RIGHT, "middle_element")
    with kata.draft("middle_element").open("a") as out:
        out.write("# one more thought\n")
    assert "# one more thought" in kata.begin("middle_element").read_text()


def test_two_that_begin_and_save_at_once_lose_nothing(state):
    """Four processes begin, append a line and keep the draft, again and again: each line is somewhere."""
    program = (
        "import sys, pathlib\nfrom course.practice import kata\nme = sys.argv[1]\n"
        "for turn in range(15):\n"
        "    file = kata.begin('top_k')\n"
        "    with file.open('a') as out:\n        out.write(f'# {me} {turn}\\n')\n"
        "    kata.keep(file)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(me)]) for me in range(4)]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0, 0]
    left = "".join(path.read_text() for path in (state / "katas").iterdir())
    lost = [f"{me} {turn}" for me in range(4) for turn in range(15) if f"# {me} {turn}\n" not in left]
    assert lost == []


def test_a_folder_that_can_not_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = started("", "top_k", WALKFORWARD_STATE=str(tmp_path / "file"))
    assert done.returncode == 2 and done.stderr.startswith("Error: ") and "WALKFORWARD_STATE" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# ------------------------------------------------- in a terminal
@TERMINAL
def test_wrong_hint_again_right(tmp_path):
    child = spawn("middle_element", EDITOR=written(tmp_path, SECOND, RIGHT))
    child.expect("Kata · middle_element")
    child.expect(r"Enter edits your answer")
    child.sendline("s")
    child.expect("Try once first")
    child.sendline("")
    child.expect("1 of 4 checks passed")
    child.expect("tries: 1")
    child.expect("s: solution")
    child.sendline("h")
    child.expect("Of 4 elements the two middles")
    child.sendline("")
    child.expect("4 of 4 checks passed")
    child.expect("tries: 2")
    assert ended(child) == 0
    (attempt,) = State().attempts("kata")
    assert attempt.passed and attempt.detail == {"tries": 2, "hints": 1, "solution": False}


@TERMINAL
def test_given_up_the_solution_is_shown_and_the_draft_stays(tmp_path):
    child = spawn("middle_element", VISUAL=written(tmp_path, SECOND), EDITOR="false")
    child.expect(" > ")
    child.sendline("")
    child.expect("s: solution")
    child.sendline("s")
    child.expect(r"return items\[\(len\(items\) - 1\) // 2\]")
    child.expect("Idea. Work the place out")
    child.expect("Your draft stays in")
    assert ended(child) == 1
    (attempt,) = State().attempts("kata")
    assert (attempt.passed, attempt.detail["solution"]) == (False, True)
    assert SECOND in kata.draft("middle_element").read_text()


@TERMINAL
def test_q_leaves_at_once_and_logs_no_attempt():
    child = spawn("middle_element", EDITOR="true")
    child.expect(" > ")
    child.sendline("q")
    child.expect("Your draft stays in")
    assert ended(child) == 1 and State().attempts("kata") == []


@TERMINAL
def test_ctrl_c_after_a_try_keeps_the_try(tmp_path):
    child = spawn("middle_element", EDITOR=written(tmp_path, SECOND))
    child.expect(" > ")
    child.sendline("")
    child.expect("s: solution")
    child.sendintr()
    child.expect("Stopped; your draft is in")
    assert ended(child) == 130
    assert [one.passed for one in State().attempts("kata")] == [False]


@TERMINAL
def test_an_endless_loop_is_ended_in_the_terminal(tmp_path):
    child = spawn("middle_element", EDITOR=written(tmp_path, ENDLESS), limit=2)
    child.expect(" > ")
    child.sendline("")
    child.expect("did not end within 2 seconds")
    child.expect(" > ")
    child.sendline("q")
    assert ended(child) == 1


@TERMINAL
@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("no-such-editor", "can't be started (No such file or directory)"),
        ("half 'a quote", "No closing quotation"),
    ],
)
def test_an_editor_that_does_not_start_ends_no_kata(editor, said):
    child = spawn("middle_element", EDITOR=editor)
    child.expect(" > ")
    child.sendline("")
    child.expect_exact(said)
    child.expect("set VISUAL or EDITOR")
    child.sendline("c")
    child.expect("not attempted yet")
    child.sendline("q")
    assert ended(child) == 1


def test_an_editor_may_have_a_space_in_its_path_and_blank_is_none(tmp_path, monkeypatch):
    folder = tmp_path / "my tools"
    folder.mkdir()
    editor, file = folder / "ed it", tmp_path / "draft.py"
    editor.write_text('#!/bin/sh\necho edited >"$1"\n')
    editor.chmod(0o755)
    assert kata.edited(str(editor), file) and file.read_text() == "edited\n"
    assert kata.edited(f"'{editor}'", file)
    monkeypatch.setenv("EDITOR", "  ")
    monkeypatch.setenv("PATH", "/nowhere")
    assert kata._editor() is None


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_an_answer_is_harmless_to_the_folder_the_memory_and_the_screen(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.txt").touch()
    monkeypatch.chdir(tmp_path)
    draft = tmp_path / "draft.py"
    draft.write_text("import os\nfor name in os.listdir('.'):\n    os.remove(name)\nprint('x' * 5000)\n")
    kata.judged("middle_element", draft)
    assert (tmp_path / "mine.txt").exists()
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100
    draft.write_text("def middle_element(items):\n    return bytearray(5 * 2**30)\n")
    assert "MemoryError" in kata.judged("middle_element", draft).text


@TERMINAL
def test_an_editor_that_fails_checks_nothing_and_c_checks():
    child = spawn("middle_element", EDITOR="false")
    child.expect(" > ")
    child.sendline("")
    child.expect("The editor ended with code 1; nothing was checked")
    child.sendline("c")
    child.expect("not attempted yet")
    child.sendline("q")
    assert ended(child) == 1 and State().attempts("kata") == []


@TERMINAL
def test_without_an_editor_the_lines_are_typed():
    child = spawn("middle_element", PATH="/nowhere")
    child.expect(" > ")
    child.sendline("")
    child.expect("end it with Ctrl-D")
    for line in RIGHT.splitlines():
        child.sendline(line)
    child.sendeof()
    child.expect("4 of 4 checks passed")
    assert ended(child) == 0


@TERMINAL
def test_at_width_60_no_line_of_ours_is_wider(tmp_path):
    child = spawn(
        "merge_intervals", columns=60, EDITOR=written(tmp_path, "def merge_intervals(i):\n    return i\n")
    )
    child.expect(" > ")
    seen = child.before + child.after
    child.sendline("")
    child.expect("s: solution.* > ")
    seen += child.before + child.after
    child.sendline("q")
    ended(child)
    ours = [
        line for line in seen.replace("\r", "").splitlines() if str(kata.draft("merge_intervals")) not in line
    ]
    assert len(ours) > 15 and max(map(len, ours)) <= 60


@TERMINAL
def test_sigkill_keeps_what_was_typed_and_what_an_editor_saved(tmp_path):
    child = spawn("middle_element", PATH="/nowhere")
    child.expect(" > ")
    child.sendline("")
    child.expect("end it with Ctrl-D")
    child.sendline("# half a thought")
    _until(lambda: "# half a thought" in kata.draft("middle_element").read_text())
    child.kill(signal.SIGKILL)
    child.wait()
    editor = tmp_path / "slow.py"
    editor.write_text("import sys, time\nopen(sys.argv[1], 'a').write('# saved\\n')\ntime.sleep(60)\n")
    child = spawn("middle_element", EDITOR=f"'{sys.executable}' '{editor}'")
    child.expect(" > ")
    child.sendline("")
    _until(lambda: "# saved" in kata.draft("middle_element").read_text())
    child.kill(signal.SIGKILL)
    child.wait()
    text = kata.begin("middle_element").read_text()
    assert "# half a thought" in text and "# saved" in text
    assert sorted(path.name for path in kata.draft("middle_element").parent.iterdir()) == [
        "middle_element.py"
    ]


@TERMINAL
def test_two_terminals_at_once_both_end_well(tmp_path):
    children = []
    for place, answer in enumerate((SECOND, RIGHT)):
        folder = tmp_path / str(place)
        folder.mkdir()
        children.append(spawn("middle_element", EDITOR=written(folder, answer)))
    for child, passed in zip(children, (1, 4), strict=True):
        child.expect(" > ")
        child.sendline("")
        child.expect(f"{passed} of 4 checks passed")
    children[0].sendline("q")
    assert [ended(child) for child in children] == [1, 0]
    text = kata.draft("middle_element").read_text()
    assert SECOND in text and RIGHT in text, "both appended to the one draft, the last definition counts"
    assert sorted(one.passed for one in State().attempts("kata")) == [False, True]


def test_the_clock_says_when_the_minutes_are_over(monkeypatch, capsys):
    now = iter([0.0] + 50 * [400.0])
    monkeypatch.setattr(kata, "monotonic", lambda: next(now))
    monkeypatch.setattr(kata, "typed", lambda file: file.write_text(RIGHT))
    held = kata.sit("middle_element", minutes=5)
    assert held == kata.Kata("middle_element", True, 400.0, 1)
    assert "6:40 of 5:00, 1:40 over; tries: 1" in capsys.readouterr().out


def test_the_help_names_the_command():
    assert "kata" in CliRunner().invoke(cli.main, ["--help"], standalone_mode=False).output


def _until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
