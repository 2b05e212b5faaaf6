"""`walkforward kata`: one kata of I1 or I5 in the terminal, in your editor, with the notebook's own check.

The draft is a file in the user's state folder. It is only ever begun, never written over; an answer that has
passed is kept beside it under a number when the kata is begun again.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import hashlib
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import click

from course import lessons, progress
from course.exercise import source
from course.files import writing
from course.practice.cards import section
from course.practice.terminal import ask, colour, forgive, minutes, monotonic, rule, say, width
from walkforward.errors import WalkForwardError

LESSONS = ("I1", "I5")
MINUTES = 15.0  # what a round gives a kata, the questions before the code included
LIMIT = 60.0  # seconds after which an answer that still runs is ended
MEMORY = 4 * 2**30  # bytes that an answer may take
PRINTED = 20  # lines of what an answer prints that are shown
EDITORS = ("sensible-editor", "nano", "vim", "vi", "notepad.exe")
SEPARATE = "Answers here and in the notebook are separate: neither passes the other."


class KataError(WalkForwardError, ValueError):
    """There is no such kata, or it can't be held; the message says what can be done."""


@dataclass(frozen=True)
class Kata:
    """One kata as it was held: checks that were run are its tries."""

    name: str
    passed: bool
    seconds: float
    tries: int


@dataclass(frozen=True)
class Verdict:
    """What the check said of a draft; `status` is that of a `Result`, or "broken" where it does not run."""

    status: str
    text: str
    hint: str

    @property
    def passed(self) -> bool:
        """Did every check pass?"""
        return self.status == "passed"


def _modules(lesson: str | None) -> list[Path]:
    wanted = LESSONS if lesson is None else (lessons.chapter(lesson),)
    found = [path for path in sorted(source.FOLDER.glob("I*.py")) if lessons.chapter(path.stem) in wanted]
    return [path for path in found if lessons.chapter(path.stem) in LESSONS]


def names(lesson: str | None = None) -> list[str]:
    """Return the names of the katas in the order of their lessons, or those of one lesson ("I1", "I5")."""
    return [name for path in _modules(lesson) for name in source.names(path)]


def patterns(lesson: str | None = None) -> dict[str, list[str]]:
    """Return the katas by pattern: the module's PATTERNS, or the lesson's title where it has none."""
    found: dict[str, list[str]] = {}
    for path in _modules(lesson):
        own, listed = source.names(path), _patterns(path)
        for pattern, held in listed.items():
            found[pattern] = [name for name in held if name in own]
        title = path.stem.partition("_")[2].replace("_", " ")
        if rest := [name for name in own if not any(name in held for held in listed.values())]:
            found.setdefault(title, []).extend(rest)
    return found


@lru_cache(maxsize=8)
def _parsed(module: str) -> ast.Module:
    return ast.parse(module)  # a tenth of a second for I1's katas, and each start asks four times


def _patterns(path: Path) -> dict[str, tuple[str, ...]]:
    for node in _parsed(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PATTERNS":
            return ast.literal_eval(node.value)
    return {}


def find(name: str) -> Path:
    """Return the module of a kata; KataError for a name that is none, with those that are near."""
    for path in _modules(None):
        if name in source.names(path):
            return path
    near = difflib.get_close_matches(name, names(), n=3)
    meant = f"did you mean {' or '.join(near)}?" if near else "`walkforward kata` lists them"
    raise KataError(f"there is no kata {name!r}; {meant}")


# The list --------------------------------------------------------------------------------------------------


def show() -> None:
    """Print the katas by pattern, with what was passed in the terminal, how long it took and when."""
    from course.practice.reviews import State

    held: dict[str, list[Any]] = {}
    for attempt in State().attempts("kata"):
        held.setdefault(attempt.name, []).append(attempt)
    passed = 0
    for pattern, members in patterns().items():
        click.echo(colour(pattern, bold=True))
        for name in members:
            own = held.get(name, [])
            best = min((one.seconds for one in own if one.passed), default=None)
            passed += best is not None
            sign = "✓" if best is not None else "·" if own else " "
            said = f"passed in {minutes(best)}" if best is not None else "tried" if own else ""
            if not own and draft(name).exists():
                said = "begun"
            click.echo(f"  {sign} {name:<24} {said}".rstrip())
    say(f"\nPassed here: {passed} of {len(names())}. `walkforward kata NAME` runs one. {SEPARATE}", indent=0)


# One kata --------------------------------------------------------------------------------------------------


def sit(name: str, minutes: float | None = None) -> Kata:
    """Hold one kata: prompt, editor, check, until it passes or is given up; keep the attempt in the log.

    minutes: what the clock allows, 15 when None; it says when they are over and ends nothing. Raises
    KataError for an unknown name or an editor that can't be started. The end of input and Ctrl-C
    (EOFError, KeyboardInterrupt) go up; what was tried until then is in the log.
    """
    return _Round(name, MINUTES if minutes is None else minutes).hold()


def kata(name: str | None, minutes: float | None) -> int:
    """Run the command: the list without a name; return 0 when passed, 1 when not, 130 when stopped."""
    forgive()
    if name is None:
        show()
        return 0
    try:
        return 0 if sit(name, minutes).passed else 1
    except (KeyboardInterrupt, EOFError):
        click.echo()
        sys.stdout.flush()
        click.echo(f"Stopped; your draft is in {draft(name)}", err=True)
        return 130


class _Round:
    """A kata that is being held."""

    def __init__(self, name: str, allowed: float) -> None:
        self.name, self.module, self.allowed = name, find(name), 60 * allowed
        self.draft = begin(name)
        self.started = monotonic()
        self.verdict: Verdict | None = None
        self.tries = self.hints = 0
        self.gave_up = False

    @property
    def seconds(self) -> float:
        return max(0.0, monotonic() - self.started)

    def hold(self) -> Kata:
        pattern = next((p for p, held in patterns().items() if self.name in held), "")
        rule(f"Kata · {self.name} · {pattern}")
        say(task(self.name))
        click.echo()
        say(f"Your draft: {self.draft}")
        say(f"{minutes(self.allowed)} on the clock. {SEPARATE}")
        try:
            self._until_done()
        finally:
            self._log()
        return Kata(self.name, self._passed, self.seconds, self.tries)

    @property
    def _passed(self) -> bool:
        return self.verdict is not None and self.verdict.passed

    def _until_done(self) -> None:
        if not sys.stdin.isatty():  # a script: its input is the answer
            typed(self.draft)
            return self._check()
        editor = _editor()
        verb = "edits" if editor else "takes"
        reply = _key(f"Enter {verb} your answer, h: hint, q: leave.")
        while reply != "q":
            if reply in ("h", "hint"):
                self._hint()
            elif reply in ("s", "solution"):
                if self.tries:
                    return self._give_up()
                say("Try once first: the solution is shown after a check.")
            elif reply in ("c", "check"):
                self._check()
            elif reply:
                say(f"{reply!r} is no key.")
            elif editor is None:
                typed(self.draft)
                self._check()
            elif edited(editor, self.draft):
                self._check()
            if self._passed:
                return None
            reply = _key(f"Enter {verb} it again, c: check, h: hint, s: solution, q: leave.")
        say(f"Your draft stays in {self.draft}")
        return None

    def _check(self) -> None:
        self.verdict = judged(self.name, self.draft)
        self.tries += self.verdict.status != "not attempted"
        click.echo()
        tone = "green" if self.verdict.passed else "red"
        head, _, rest = self.verdict.text.partition("\n")
        say(colour(head, tone, bold=True))
        for line in rest.splitlines():
            say(line, hang=2)
        over = self.seconds - self.allowed
        late = f", {minutes(over)} over" if over > 0 else ""
        click.echo()
        say(f"{minutes(self.seconds)} of {minutes(self.allowed)}{late}; tries: {self.tries}")
        if self._passed:
            keep(self.draft)
            self._tell()

    def _hint(self) -> None:
        self.hints += 1
        click.echo()
        say(self.verdict.hint if self.verdict else judged(self.name, self.draft).hint, indent=4)

    def _give_up(self) -> None:
        self.gave_up = True
        click.echo()
        say(f"```\n{source.solution_source(self.module, self.name)}\n```")
        self._tell()
        say(f"Your draft stays in {self.draft}")

    def _tell(self) -> None:
        """Say the idea, the steps and the follow-up, as the notebook does, and where it shows more."""
        click.echo()
        if text := told(self.name):
            say(text)
            click.echo()
        say(f"Shown in {_place(self.name, self.module)}")

    def _log(self) -> None:
        if self.tries:
            from course.practice.reviews import State

            detail = {"tries": self.tries, "hints": self.hints, "solution": self.gave_up}
            State().record_attempt("kata", self.name, self._passed, self.seconds, detail)


def _key(keys: str) -> str:
    click.echo()
    say(keys)
    return ask("  > ").lower()


def task(name: str) -> str:
    """Return a kata's prompt, as its stub has it."""
    path = find(name)
    (node,) = [
        node
        for node in _parsed(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    return ast.get_docstring(node) or ""


def told(name: str) -> str:
    """Return what the notebook folds below a kata's check, as plain text; empty where it folds nothing."""
    path = section(lessons.number(find(name).stem), f"exercise-{name}")[0]
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, LookupError):  # the kata can be held without it
        return ""
    rest = itertools.dropwhile(lambda cell: cell.get("id") != f"exercise-{name}", cells)
    below = ("".join(cell["source"]) for cell in rest if cell["cell_type"] == "markdown")
    folded = None
    for text in below:  # a measurement may come first; a heading without a fold begins something else
        folded = re.search(r"</summary>(.*)</details>", text, re.DOTALL)
        if folded or text.startswith("#"):
            break
    # Code stays as it is; comments, emphasis and the targets of links go.
    marks = r"(`[^`]*`)|<!--.*?-->|\*+|\[(?=[^\]]*\]\()|\]\([^)]*\)"
    text = re.sub(marks, lambda mark: mark[1] or "", folded[1] if folded else "", flags=re.DOTALL)
    return text.strip()


def _place(name: str, module: Path) -> str:
    notebook, heading = section(lessons.number(module.stem), f"exercise-{name}")
    return f"{notebook.name}, {heading}" if heading else notebook.name


# The draft -------------------------------------------------------------------------------------------------


def draft(name: str) -> Path:
    """Return where the draft of a kata is: `katas` in the user's state folder (WALKFORWARD_STATE)."""
    return progress.progress_file().with_name("katas") / f"{name}.py"


def begin(name: str) -> Path:
    """Return the draft, begun from the stub where there is none; one that has passed is moved aside first."""
    module, file = find(name), draft(name)
    with writing(file.parent, variable="WALKFORWARD_STATE"):
        file.parent.mkdir(parents=True, exist_ok=True)
        _set_aside(file)
        whole = _stub(module, name)
        handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(whole)
            Path(beside).chmod(0o644)
            with contextlib.suppress(FileExistsError):  # a link appears whole, and only where nothing is
                os.link(beside, file)
        finally:
            Path(beside).unlink()
    return file


def _stub(module: Path, name: str) -> str:
    known = sorted({alias.split(" as ")[-1] for node in _imports(module) for alias in _bound(node)})
    head = f"# {name}: save and close the editor, and the checks run."
    if known:
        lines, line = [], "# Imported already:"
        for word in known:
            if len(line) + len(word) > 96:
                lines, line = [*lines, line], "#  "
            line += f" {word},"
        head += "\n" + "\n".join([*lines, line.rstrip(",")])
    return f"{head}\n\n\n{source.stub_source(module, name)}\n"


def keep(file: Path) -> None:
    """Note that what the draft holds now has passed: the next time the kata begins anew."""
    with contextlib.suppress(FileNotFoundError):  # another terminal has moved it aside
        digest = _digest(file)
        with writing(file.parent, variable="WALKFORWARD_STATE"), _passed(file).open("a") as out:
            out.write(f"{digest}\n")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _passed(file: Path) -> Path:
    return file.with_name(f".{file.stem}.passed")


def _set_aside(file: Path) -> None:
    """Give a draft that has passed as it is the next number, NAME.1.py; any other stays where it is.

    It is moved before it is read, and never copied: what an editor saves meanwhile is not what goes.
    """
    if not (file.exists() and _passed(file).exists()):
        return
    aside = file.with_name(f".{file.stem}.{os.getpid()}.aside")
    try:
        file.rename(aside)
    except FileNotFoundError:  # another terminal was first
        return
    passed = _digest(aside) in _passed(file).read_text().split()
    numbered = (file.with_name(f"{file.stem}.{number}.py") for number in itertools.count(1))
    for name in numbered if passed else itertools.chain([file], numbered):
        with contextlib.suppress(FileExistsError):  # a link is made only where nothing is
            os.link(aside, name)
            break
    aside.unlink()


def typed(file: Path) -> None:
    """Append the lines of stdin to the draft, each on the disk at once; the last definition counts."""
    if sys.stdin.isatty():
        say("No editor: type your answer, and end it with Ctrl-D on a line of its own.")
    with writing(file.parent, variable="WALKFORWARD_STATE"), file.open("a", encoding="utf-8") as out:
        out.write("\n\n")
        for line in iter(sys.stdin.readline, ""):
            out.write(line)
            out.flush()


def _editor() -> str | None:
    """Return the command of the editor: VISUAL, EDITOR, or the first usual one that is installed."""
    chosen = os.environ.get("VISUAL", "").strip() or os.environ.get("EDITOR", "").strip()
    return chosen or next((name for name in EDITORS if shutil.which(name)), None)


def edited(editor: str, file: Path) -> bool:
    """Open a file in the editor and wait; False, with a line that says so, when the editor failed."""
    try:
        with _deaf_to_interrupts():
            words = [editor] if shutil.which(editor) else shlex.split(editor)  # a path may have spaces
            code = subprocess.run([*words, str(file)], check=False).returncode
    except (OSError, ValueError) as error:  # ValueError: half a quote
        why = getattr(error, "strerror", None) or error
        say(
            f"The editor {editor!r} can't be started ({why}): set VISUAL or EDITOR to another, or write "
            "your answer into the draft in another window; c checks it."
        )
        return False
    if code:
        say(f"The editor ended with code {code}; nothing was checked. c checks the draft as it is.")
    return code == 0


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Leave Ctrl-C to the editor. A handler that does nothing is not inherited, SIG_IGN would be."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# The check -------------------------------------------------------------------------------------------------


def judged(name: str, file: Path) -> Verdict:
    """Run the checks on a draft in a process of its own, which is ended after LIMIT seconds."""
    with tempfile.TemporaryDirectory() as folder:
        said, printed, own = Path(folder, "said.json"), Path(folder, "printed"), Path(folder, "own")
        own.mkdir()
        command = [sys.executable, "-m", "course.practice.kata", name, str(file), str(said), f"{LIMIT:g}"]
        with printed.open("wb") as out:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=own,  # what the answer deletes or writes by a bare name is not the learner's
                start_new_session=True,
            )
            try:
                code = child.wait(LIMIT)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(child)
        lines = printed.read_text(encoding="utf-8", errors="replace").splitlines()
        room = width() - 4
        for line in lines[-PRINTED:]:
            click.echo(f"  | {line if len(line) <= room else line[: room - 2] + ' …'}")
        try:
            return Verdict(**json.loads(said.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            pass
    if code is None:
        what = f"did not end within {LIMIT:g} seconds and was stopped; look for a loop that never ends"
    else:
        what = f"ended the program with code {code}; look at what it printed"
    return Verdict("failed", f"✗ {name}: your answer {what}", _first_hint(name))


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the answer's process and what it has started."""
    if child.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL) if os.name == "posix" else child.kill()
        child.wait()


def _first_hint(name: str) -> str:
    module = source.load(find(name))
    return getattr(module, name).exercise.checks[0].__doc__ or ""


def _imports(module: Path) -> list[ast.Import | ast.ImportFrom]:
    """Return the imports of an exercise module that an answer finds done, as in the notebook."""
    nodes = _parsed(module.read_text(encoding="utf-8")).body
    kept = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return [
        node
        for node in kept
        if not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course.exercise"))
    ]


def _bound(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.asname or alias.name.partition(".")[0] for alias in node.names]


def _judge(name: str, file: Path) -> Verdict:
    """Run the draft as a cell of the notebook, then the checks on what it calls `name`."""
    path = find(name)
    module = source.load(path)
    exercise = getattr(module, name).exercise
    first = exercise.checks[0].__doc__ or ""
    given: dict[str, Any] = {"__name__": "__kata__", "TODO": source.TODO}
    for node in _imports(path):
        exec(compile(ast.unparse(node), path.name, "exec"), given)
    if exercise.value:
        given |= getattr(module, "context", dict)()
    try:
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), given)
    except SyntaxError as error:
        at = f"line {error.lineno} of the draft: {(error.text or '').strip()}" if error.lineno else ""
        return Verdict("broken", f"✗ {name}: {error.msg}\n{at}".strip(), first)
    except (Exception, SystemExit) as error:
        if isinstance(error, source.NotAttempted):
            return _as_verdict(exercise.run(source.TODO))
        return Verdict("broken", f"✗ {name}: the draft raises {type(error).__name__}: {error}", first)
    if name not in given:
        return Verdict("broken", f"✗ {name}: the draft defines no {name}", first)
    return _as_verdict(exercise.run(given[name]))


def _as_verdict(result: Any) -> Verdict:
    lines: Callable[[], list[str]] = result._lines
    if result.status == "not attempted":
        name = result.exercise.name
        text = f"○ {name}: not attempted yet. Replace TODO with your answer."
    else:
        text = "\n".join([*lines(), *result.message.splitlines()])
    return Verdict(result.status, text, str(result.hint()))


def _main(name: str, file: str, said: str, limit: str) -> None:
    if hasattr(signal, "alarm"):  # who waits for this process may be killed; then it ends by itself
        signal.alarm(2 + int(float(limit)))
    with contextlib.suppress(ImportError):
        import resource

        most = 10_000_000  # bytes that an answer may print
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        # A loop that collects without end is a MemoryError; macOS may refuse the limit.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    verdict = _judge(name, Path(file))
    beside = Path(said).with_suffix(".part")
    beside.write_text(json.dumps(vars(verdict)), encoding="utf-8")
    beside.replace(said)


if __name__ == "__main__":
    _main(*sys.argv[1:])
