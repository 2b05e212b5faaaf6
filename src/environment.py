"""Make, repair or update the course's environment: `.venv` in the checkout, from requirements.txt.

    python3 src/environment.py                 what is needed, or nothing
    python3 src/environment.py --this-python   with the very Python that runs this
    python3 src/environment.py --force         from scratch
    python3 src/environment.py --lock          rebuild requirements.txt (--upgrade: with newest versions)
    python3 src/environment.py --clean         remove the environment and the tools' caches

Standard library only: it runs before anything is installed. Nothing is written outside the checkout but
uv's own cache. A stamp, written last, says what the environment was made from: without it, or with one
that does not fit, the environment is half built or stale.

Modules are not compiled at install: that costs a minute of processor time for 20,000 files, of which a
start needs a sixth. The first import compiles and keeps what it needs (see benchmarks/README.md).
"""

# Hints without brackets: an old Python must get as far as the line that says that it is too old.
import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
UV = "uv==0.13.8"  # bootstrapped when there is none on PATH that is new enough
UV_OLDEST = (0, 8)
GIGABYTES_NEEDED = 3.0  # 2.3 for the environment, the rest for uv's cache
STAMP = "walkforward-stamp.json"
LOCK_COMMAND = (
    "pip compile pyproject.toml --extra dev --universal --python-version 3.11 "
    "--fork-strategy fewest --no-annotate -o requirements.txt"
)
PLATFORMS = (  # where a wheel must exist for all that is locked; no student is asked for a compiler
    "x86_64-manylinux_2_28",
    "aarch64-manylinux_2_31",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "x86_64-pc-windows-msvc",
)
OLDEST_MACOS = "14.0"
BUILT_ANYWHERE = ("lime",)  # Python alone, published as source
OFFLINE = re.compile(
    r"dns error|resolve host|name resolution|getaddrinfo|unreachable|timed out|Failed to fetch|"
    r"connection (error|broken|refused|reset|aborted)|Failed to establish|Max retries|tcp connect",
    re.IGNORECASE,
)
CACHES = ("build", ".pytest_cache", ".ruff_cache", ".hypothesis", "src/walkforward.egg-info")


class Fault(Exception):
    """What is wrong, and the way out, in one line."""


class NoNetwork(Fault):
    """The package index can't be reached."""


# What is there, and what should be


def interpreter(venv: Path) -> Path:
    """Return the path of the environment's Python."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def wanted(root: Path) -> dict:
    """Return what an environment made now would be made from."""
    inputs = {
        name: hashlib.sha256((root / name).read_bytes().replace(b"\r\n", b"\n")).hexdigest()
        for name in ("requirements.txt", "pyproject.toml")
    }
    return {"path": str(root), **inputs}


def look(root: Path, version: str = "") -> tuple:
    """Return the state of `.venv` ("current", "outdated", "broken" or "absent") and the reason.

    "outdated" can be brought up to date in place; "broken" is rebuilt. With `version` ("3.12") an
    environment of another Python is broken too.
    """
    venv = root / ".venv"
    if not os.path.lexists(venv):
        return "absent", "there is none yet"
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
        made_with, made_at, packages = stamp["python"], stamp["path"], set(stamp["packages"])
    except (OSError, ValueError, KeyError, TypeError):
        return "broken", "it was never finished"
    if made_at != str(root):
        return "broken", f"it was made for {made_at}"
    if version and version != made_with:
        return "broken", f"it has Python {made_with}, and {version} is asked for"
    runs = python_version(interpreter(venv))
    if runs != made_with:
        return "broken", f"its Python is {runs}, not {made_with}" if runs else "its Python does not start"
    missing = sorted(packages - set(installed(venv)))
    if missing:
        return "outdated", f"{missing[0]} is missing" + (
            f" and {len(missing) - 1} more" if missing[1:] else ""
        )
    changed = [name for name, value in wanted(root).items() if stamp.get(name) != value]
    return ("outdated", f"{changed[0]} has changed") if changed else ("current", "")


def installed(venv: Path) -> list:
    """Return the packages in the environment, as "name-version"."""
    folders = venv.glob("Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages")
    return sorted(info.stem for folder in folders for info in folder.glob("*.dist-info"))


def write_stamp(root: Path) -> None:
    """Say that the environment is finished. Written last, and whole or not at all."""
    venv = root / ".venv"
    stamp = {"python": python_version(interpreter(venv)), **wanted(root), "packages": installed(venv)}
    temporary = venv / (STAMP + ".new")
    temporary.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    temporary.replace(venv / STAMP)


def python_version(python: Path) -> str:
    """Return "3.11" for a Python that starts, "" for one that does not."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [str(python), "-I", "-S", "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
            timeout=30,
            env=clean_env(),
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def clean_env() -> dict:
    """Return the variables for child processes, without those that would bend a Python or an install."""
    bent = ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "__PYVENV_LAUNCHER__")
    bent += ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "UV_SYSTEM_PYTHON", "UV_TARGET", "UV_PREFIX")
    return {name: value for name, value in os.environ.items() if name not in bent}


# Making it


def build(root: Path, state: str, python: str) -> None:
    """Make `.venv` with the interpreter `python`, or, when it is only "outdated", bring it up to date.

    Raises:
        Fault: with the way out, when there is no network, no room or no permission.
    """
    venv = root / ".venv"
    own = str(interpreter(venv))
    if state == "outdated":
        uv = find_uv([own, "-m", "uv"])
        if uv:
            stamp = (venv / STAMP).read_bytes()
            (venv / STAMP).unlink()  # from here to the end it is half built
            try:
                install(uv, root, own)
            except NoNetwork:
                # uv fetches everything before it changes anything: what is there still works.
                (venv / STAMP).write_bytes(stamp)
                say("No network: the environment stays as it was; `make env` updates it when there is one")
                return
            write_stamp(root)
            return
    free = shutil.disk_usage(root).free / 1e9
    if free < GIGABYTES_NEEDED:
        raise Fault(
            f"{free:.1f} GB free in {root}, {GIGABYTES_NEEDED:g} GB are needed: make room and try again"
        )
    remove(venv)
    uv = find_uv()
    if uv:
        run([python, "-m", "venv", "--without-pip", "--prompt", "walkforward", str(venv)], root)
    else:
        try:
            run([python, "-m", "venv", "--prompt", "walkforward", str(venv)], root)
        except Fault as fault:
            if "ensurepip" not in str(fault):
                raise
            way_out = "install it (Debian, Ubuntu: apt install python3-venv) or install uv, and try again"
            raise Fault(f"this Python ({python}) comes without venv and ensurepip: {way_out}") from None
        try:
            run([own, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--retries", "2", UV], root)
            uv = [own, "-m", "uv"]
        except NoNetwork:
            raise
        except Fault:
            say("uv can't be had here; pip does the same, in some minutes")
    install(uv, root, own)
    run([own, "-I", "-c", "import walkforward"], root)
    write_stamp(root)


def install(uv: list, root: Path, own: str) -> None:
    """Install exactly what requirements.txt lists, and the course itself, editable."""
    what = ["--no-deps", "-r", "requirements.txt", "-e", "."]
    if not uv:
        pip = [own, "-m", "pip", "install", "--no-compile", "--no-cache-dir", "--progress-bar", "off"]
        run([*pip, *what], root)
        return
    command = [*uv, "pip", "install", "--exact", "--python", own, *what]
    try:
        run(command, root)
    except NoNetwork:
        try:
            run([*command, "--offline"], root)
        except Fault:
            pass
        else:
            say("No network: installed from uv's cache")
            return
        raise


def find_uv(*others: list) -> list:
    """Return the command of a uv that is new enough, or an empty list."""
    for command in [[shutil.which("uv") or ""], *others]:
        if command[0]:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                done = subprocess.run(
                    [*command, "--version"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    timeout=30,
                    env=clean_env(),
                )
                found = re.search(r"(\d+)\.(\d+)", done.stdout.decode())
                if done.returncode == 0 and found and tuple(map(int, found.groups())) >= UV_OLDEST:
                    return command
    return []


def run(command: list, root: Path) -> None:
    """Run a command in the checkout; its last line is shown while it works, its error becomes a Fault."""
    show = sys.stderr.isatty()
    width = shutil.get_terminal_size().columns - 1
    start, lines = time.monotonic(), []
    process = subprocess.Popen(
        command,
        cwd=str(root),
        env=clean_env(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    try:
        for line in process.stdout:
            line = line.strip()
            if line and line[:2] not in ("+ ", "- ", "~ "):
                lines.append(line)
                if show:
                    status = f"  {time.monotonic() - start:3.0f} s  {line}"[:width]
                    print("\r" + status.ljust(width), end="", file=sys.stderr, flush=True)
        code = process.wait()
    except BaseException:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        raise
    finally:
        if show:
            print("\r" + " " * width + "\r", end="", file=sys.stderr, flush=True)
    if code:
        raise explain(lines, root)


def explain(lines: list, root: Path) -> Fault:
    """Turn the last lines of a failed install into one line with a way out."""
    text = " ".join(lines[-12:])
    if OFFLINE.search(text):
        way_out = "connect (behind a proxy: set HTTPS_PROXY) and try again"
        return NoNetwork(f"no network, the package index can't be reached: {way_out} ({text[-160:]})")
    if "No space left" in text or shutil.disk_usage(root).free < 5e7:
        return Fault(f"the disk is full: make {GIGABYTES_NEEDED:g} GB of room and try again")
    return Fault("the install failed: " + (text or "without a word")[-600:])


def remove(path: Path) -> None:
    """Remove a file, a link (never what it leads to) or a folder."""
    try:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(str(path))
    except OSError as error:
        raise Fault(
            f"can't remove {path} ({error.strerror}): end what uses it, remove it and try again"
        ) from None


@contextlib.contextmanager
def alone(root: Path):  # noqa: ANN201  (an iterator)
    """Let one process at a time build. The lock is the system's own: it ends with its holder."""
    try:
        handle = (root / ".venv.lock").open("a+b")
    except OSError as error:
        raise Fault(
            f"can't write in {root} ({error.strerror}): put the course into a folder of your own"
        ) from None
    with handle:
        waiting = False
        while True:
            try:
                if os.name == "nt":
                    import msvcrt

                    handle.seek(0)
                    msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
                else:
                    import fcntl

                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if not waiting:
                    say("Another process is building the environment: waiting for it")
                waiting = True
                time.sleep(0.3)
        yield


# The command


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def other_python() -> str:
    """Return a Python on PATH that the course runs on, or ""."""
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        found = shutil.which(f"python3.{minor}")
        if found and python_version(Path(found)) == f"3.{minor}":
            return found
    return ""


def choose_python(this: bool) -> str:
    """Return the Python to build with: this one, or when it doesn't fit (and needn't) one from PATH.

    Raises:
        Fault: when there is none between 3.11 and 3.13.
    """
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        # In a virtual environment (this one, perhaps, which is about to be removed): what it was made from.
        return getattr(sys, "_base_executable", None) or sys.executable
    found = "" if this else other_python()
    if found:
        say(f"This is Python {sys.version.split()[0]}; taking {found}")
        return found
    raise Fault(
        f"Python 3.11, 3.12 or 3.13 is needed, this is {sys.version.split()[0]} ({sys.executable}): "
        "install one of them and run `make env PYTHON=/path/to/python3.11`"
    )


def ensure(root: Path, this_python: bool = False, force: bool = False) -> None:
    """Leave a current environment in `root`; do nothing when there is one.

    Raises:
        Fault: what stands in the way.
    """
    version = "%d.%d" % sys.version_info[:2] if this_python else ""
    if not force and look(root, version)[0] == "current":
        return
    python = choose_python(this_python)
    with alone(root):
        state, reason = look(root, version)
        if force:
            state, reason = "broken", "it is asked for"
        if state == "current":
            return
        verb = {"absent": "Building", "broken": "Rebuilding", "outdated": "Updating"}[state]
        say(f"{verb} the environment ({reason})")
        start = time.monotonic()
        build(root, state, python)
        packages = len(installed(root / ".venv"))
        say(f"Environment ready in {time.monotonic() - start:.0f} s: {packages} packages")


def lock(root: Path, upgrade: bool) -> None:
    """Rebuild requirements.txt from pyproject.toml; versions stay as they are unless `upgrade`."""
    uv = find_uv([str(interpreter(root / ".venv")), "-m", "uv"])
    if not uv:
        raise Fault("uv is needed to lock: `make env` first")
    os.environ["UV_CUSTOM_COMPILE_COMMAND"] = "uv " + LOCK_COMMAND  # for the file's header
    run([*uv, *LOCK_COMMAND.split(), "--quiet", *(["--upgrade"] if upgrade else [])], root)
    faults = unbuilt(uv, root)
    if faults:
        raise Fault(
            "what is locked can't be installed everywhere without a compiler:\n  " + "\n  ".join(faults)
        )
    say("requirements.txt is locked; `make env` installs it, `make test` proves it")


def unbuilt(uv: list, root: Path) -> list:
    """Return a line for each Python and platform on which something locked would have to be compiled."""
    command = [*uv, "pip", "compile", "requirements.txt", "--no-deps", "--quiet", "-o", os.devnull]
    command += ["--only-binary", ":all:", *(f"--no-binary={name}" for name in BUILT_ANYWHERE)]
    faults = []
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        for platform in PLATFORMS:
            place = ["--python-version", f"3.{minor}", "--python-platform", platform]
            done = subprocess.run(
                [*command, *place],
                cwd=str(root),
                env={**clean_env(), "MACOSX_DEPLOYMENT_TARGET": OLDEST_MACOS},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
            )
            if done.returncode:
                if OFFLINE.search(done.stderr):
                    raise explain(done.stderr.splitlines(), root)
                cause = re.search(r"(?s)Because (\S+?)(?:\{.*?\})?(==\S+) has no", done.stderr)
                what = cause[1] + cause[2] if cause else done.stderr.strip()[-300:]
                faults.append(f"{what} on Python 3.{minor}, {platform}: give it a marker in pyproject.toml")
    return faults


def clean(root: Path) -> None:
    """Remove what can be made again; never work/, which is the student's."""
    with alone(root):
        for name in (".venv", *CACHES):
            remove(root / name)
        for folder in ("src", "tests", "data", "benchmarks"):
            for cache in sorted((root / folder).rglob("__pycache__")):
                remove(cache)
    with contextlib.suppress(OSError):
        (root / ".venv.lock").unlink()


def main(arguments=None) -> int:  # noqa: ANN001  (a list of strings)
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--this-python", action="store_true", help="build with the Python that runs this")
    parser.add_argument("--force", action="store_true", help="rebuild from scratch")
    parser.add_argument("--lock", action="store_true", help="rebuild requirements.txt")
    parser.add_argument("--upgrade", action="store_true", help="with --lock: take the newest versions")
    parser.add_argument("--clean", action="store_true", help="remove the environment and caches")
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parents[1]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.lock:
            lock(root, options.upgrade)
        elif options.clean:
            clean(root)
        else:
            ensure(root, options.this_python, options.force)
    except Fault as fault:
        print(f"Error: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped: nothing is lost, the next `make env` goes on from here", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"Error: {error.filename or root}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
