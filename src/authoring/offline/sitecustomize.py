"""Refuses every connection that leaves this machine, and records what a lesson takes from the checkout.

This folder stands first in PYTHONPATH while lessons are built and tested, so each Python process that a
lesson starts, servers included, is under the same hooks. An audit hook sees the call below every library and
can't be undone. Refusals are also written to the file named by WALKFORWARD_OFFLINE_LOG: a lesson that
swallows the error is found all the same. The record goes to the file named by WALKFORWARD_RECORD, if there
is one; `authoring.stamp` makes of it what the outputs depend on.
"""

import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path


class NetworkBlocked(OSError):
    """A lesson tried to reach another machine."""


def _is_local(host: object) -> bool:
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else str(host)
    if name in {"", "localhost", "<broadcast>", socket.gethostname()}:
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def _is_literal(host: object) -> bool:
    try:
        ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return True


def _refuse(target: str) -> None:
    log = os.environ.get("WALKFORWARD_OFFLINE_LOG")
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{target} (from {Path(sys.argv[0] if sys.argv else '').name or 'python'})\n")
    raise NetworkBlocked(
        f"the network is blocked while lessons are built and tested, and this wanted {target}; "
        "take the data from data/ or serve it on 127.0.0.1"
    )


def _guard(event: str, args: tuple) -> None:
    if not event.startswith("socket."):
        return
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = args[1]
        internet = args[0].family in {socket.AF_INET, socket.AF_INET6}
        if internet and isinstance(address, tuple) and not _is_local(address[0]):
            _refuse(f"{address[0]}:{address[1]}")
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        # A literal address needs no look-up; whether it may be connected to is decided above.
        if not _is_local(args[0]) and not _is_literal(args[0]):
            host = args[0].decode("ascii", "replace") if isinstance(args[0], bytes) else args[0]
            _refuse(f"{host}:{args[1]}" if len(args) > 1 else str(host))


def _recorder(log: str, root: str) -> Callable[[str, tuple], None]:
    """Return a hook that writes to `log` what this process takes from `root` and from installed packages.

    One line each, a word and an absolute path: `run`, code, a folder of a package whose code is executed, or
    a program that a package brings; `read`, a file that is opened by other than an import; `list`, a folder
    whose names are asked for; `tree`, a folder that is given to another program.
    """
    import shutil

    # All in the closure: a hook outlives this module's names when the interpreter ends.
    split, append = os.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT
    inside, compiled = tuple({root + os.sep, split.realpath(root) + os.sep}), f"{os.sep}__pycache__{os.sep}"
    packages = tuple(f"{os.sep}{name}-packages{os.sep}" for name in ("site", "dist"))
    programs = split.dirname(sys.executable) + os.sep
    importing = "<frozen importlib._bootstrap_external>"
    seen: set[tuple[str, str]] = set()
    written: set[str] = set()

    def note(what: str, named: object) -> None:
        path = os.fsdecode(named) if isinstance(named, (str, bytes, os.PathLike)) else ""
        if not path or path.startswith("<"):
            return  # an open descriptor, the current folder, code that lies in no file
        path = split.abspath(path)
        if (what, path) in seen:
            return
        seen.add((what, path))
        if path.startswith(programs) or any(part in path for part in packages):
            home = split.dirname(path)
            kept = path if home.endswith("-packages") or path.startswith(programs) else home
            if what != "run":
                return
        else:
            kept = split.realpath(path)
            if not kept.startswith(inside) or compiled in kept:
                return
        line = f"{what} {kept}\n"
        if line not in written:
            written.add(line)
            file = os.open(log, append, 0o600)
            os.write(file, line.encode(errors="surrogateescape"))
            os.close(file)

    def given(program: str, words: object, folder: str | None, path: str | None) -> None:
        """Note a program, and what is named on its command line, which it may read unseen."""
        note("run", shutil.which(program, path=path))
        for word in [words] if isinstance(words, (str, bytes)) else list(words or ()):
            text = os.fsdecode(word) if isinstance(word, (str, bytes, os.PathLike)) else ""
            for name in {text, text.rpartition("=")[2]} if len(text) < 4096 else ():
                path = split.join(folder or "", name)
                if name and split.exists(path):
                    note("tree" if split.isdir(path) else "read", path)

    def record(event: str, args: tuple) -> None:
        try:
            if event == "open":
                # What an import reads is noted when it is executed.
                source = str(args[0]).endswith(".py")
                if not (source and sys._getframe(1).f_code.co_filename == importing):
                    note("read", args[0])
            elif event == "exec":
                note("run", args[0].co_filename)
            elif event == "import":
                note("run", args[1])  # an extension module: its file
            elif event in ("os.listdir", "os.scandir"):
                note("list", args[0])
            elif event == "subprocess.Popen":
                given(os.fsdecode(args[0]), args[1], args[2], (args[3] or os.environ).get("PATH"))
                note("tree", args[2])
            elif event in ("os.exec", "os.posix_spawn"):
                given(os.fsdecode(args[0]), args[1], None, None)
        except (OSError, ValueError, TypeError, AttributeError):
            pass  # a name that is no path, a current folder that is gone: nothing of the checkout

    return record


sys.addaudithook(_guard)
if os.environ.get("WALKFORWARD_RECORD"):
    sys.addaudithook(_recorder(os.environ["WALKFORWARD_RECORD"], os.environ["WALKFORWARD_RECORD_ROOT"]))


def _run_the_next_sitecustomize() -> None:
    here = Path(__file__).resolve().parent
    elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


_run_the_next_sitecustomize()
