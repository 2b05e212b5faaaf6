"""A release that does not come up. The resolver and the tracebacks are real, the packages are made up."""

from dataclasses import replace
from random import Random

from course.practice.evidence import resolve, run
from course.practice.tickets import Case, Fault

NAMES = (
    ("rowkit", "chartkit", "feedkit"),
    ("gridlib", "plotlib", "linklib"),
    ("cellbox", "figbox", "pipebox"),
)
MODULES = (
    ("statistics", "fmean"),
    ("secrets", "token_hex"),
    ("calendar", "monthrange"),
    ("colorsys", "rgb_to_hsv"),
)


def faults(
    base: str = r"\w+", user: str = r"\w+", other: str = r"\w+", module: str = r"\w+"
) -> dict[str, Fault]:
    """Return the four faults; the names of the packages are those of one seed."""
    return {
        "conflict": Fault(
            "two pins exclude each other",
            (
                r"(?:version |dependency |requirements? |pin )?(?:conflicts?|clash\w*|incompatible|contradict\w*|unsatisfiable|no (?:common )?(?:version|solution))\b & (?:pins?|pinned|requirements?|require[sd]?|needs?|want\w*|resol\w+|dependenc\w+|versions|packages|install\w*|"
                + rf"{user}|{other})",
                rf"(?:{user}|{other}) & (?:needs?|requires?|wants?|asks? for|demands?) & {base} & (?:while|but|and|other|both|<|>)",
                r"(?:resolutionimpossible|resolution impossible|cannot be resolved|can't be resolved|unresolvable|resolver (?:fails|gives up|finds no))",
                r"(?:exclude|rule out) each other",
                rf"{base}\s?<\s?3 & {base}\s?>=?\s?3",
            ),
            ("install log", r"conflicting dependencies"),
        ),
        "drifted": Fault(
            "a package that nobody pinned moved to a new major version",
            (
                r"(?:unpinned|not pinned|isn't pinned|wasn't pinned|never pinned|nobody pinned|no pin|without (?:a )?(?:pin|upper bound)|not (?:in|part of) the lock\w*|missing (?:in|from) the lock\w*|lock(?: ?file)? (?:doesn't|does not|did not|didn't) (?:include|name|contain|list|pin|cover)|floated|floating|transitive|not locked|no upper bound)\b",
                rf"{base} & (?:3(?:\.0)?(?:\.\d)?|major|new(?:er)? version|upgrad\w+|updat\w+|moved|jumped|bumped|latest|breaking) & (?:remov\w+|renam\w+|gone|breaking|major|no longer|attribute|api|from 2|2\.|frame|pulled|resolved)",
                r"breaking (?:change|release|upgrade) & (?:package|dependency|version|library|" + base + ")",
            ),
            ("traceback", r"module '\w+' has no attribute 'frame'"),
        ),
        "shadow": Fault(
            "a file of ours hides a module of the standard library",
            (
                rf"(?:shadow\w*|hid(?:es|ing|den)|mask\w*|overrid\w+|collid\w*|same name|has the name|name (?:clash|collision|conflict)|collision|named like|called like|clash\w* with|instead of the (?:standard|stdlib|built)) & (?:{module}|stdlib|standard library|module|built-?in|file)",
                r"import\w* (?:our|its|the local|a local|the wrong|your) (?:own )?(?:file|module|\w+\.py)",
                rf"(?:our|local|own|new|project's) (?:file )?{module}(?:\.py)? & (?:import\w*|found|picked|first|loaded|standard|stdlib|instead)",
            ),
            ("traceback", r"\(/srv/app/\w+\.py\)|/srv/app/(?:statistics|secrets|calendar|colorsys)\.py"),
        ),
        "pickle": Fault(
            "the model was pickled under another version of the package",
            (
                r"(?:pickle\w*|unpickl\w*|serialis\w*|serializ\w*|deserial\w*|model file|model\.pkl|saved model|artifact|dumped) & (?:version|older|old|newer|saved with|different|other|another|renam\w*|class|mov\w*|no longer|mismatch|2\.|3\.|incompatib\w*)",
            ),
            ("traceback", r"Can't get attribute"),
        ),
    }


HERRINGS = (
    Fault(
        "the base image",
        (
            r"base image & (?:broke|broken|bug|cause\w*|because|due|problem|wrong|python)",
            r"python (?:patch|upgrade|3\.11\.\d+)|new python",
        ),
    ),
    Fault(
        "the rotated secret",
        (
            r"(?:secret|credential|password|token)s? (?:is|are|was|were|rotation|rotated|wrong|expired|missing|broke)",
            r"(?:wrong|expired|missing|rotated) (?:secret|credential|password|token)s?",
        ),
    ),
    Fault(
        "the network",
        (
            r"(?:network|dns|registry|mirror) (?:is|was|outage|down|flak\w+|problem|issue|failed)",
            r"(?:flaky|broken|no) network",
        ),
    ),
)


def case(rng: Random) -> Case:
    """Return the ticket: a clash of pins, a drifted package, a shadowed module, or an old pickle."""
    base, user, other = rng.choice(NAMES)
    module, member = rng.choice(MODULES)
    all_faults = faults(base, user, other, module)
    kind = rng.choice(sorted(all_faults))
    service, who = rng.choice(["eta-api", "price-api", "stock-api"]), rng.choice(["Dana", "Luis", "Wei"])
    patch, minor = rng.randint(8, 11), rng.randint(1, 6)
    scaler = rng.choice(["Scaler", "Encoder", "Clipper"])
    moved = "3.0.0" if kind in ("drifted", "pickle") else f"2.{minor}.0"
    wheels = [
        (base, f"2.{minor}.0", []), (base, "3.0.0", []),
        (user, "1.8.0", [f"{base}<3,>=2"]), (user, "1.7.0", [f"{base}<3,>=2"]),
        (other, "4.0.0", [f"{base}>=3"]), (other, "3.9.0", [f"{base}>=2"]),
    ]  # fmt: skip
    wanted = [f"{user}==1.8.0", f"{other}==4.0.0"]

    def install_log() -> str:
        if kind == "conflict":
            return f"$ pip install -r requirements.txt\n{resolve(wheels, wanted)}\nimage build: failed; the rollout keeps waiting for an image"
        needs = [(user, "1.8.0", [f"{base}>=2"]), *(wheels[:2] if moved == "3.0.0" else wheels[:1])]
        needs.append((other, "3.9.0", [f"{base}>=2"]))
        return f"$ pip install -r requirements.txt\n{resolve(needs, [f'{user}==1.8.0', f'{other}==3.9.0'])}\nimage build: done in {rng.randint(50, 90)} s"

    def crash() -> str:
        if kind == "conflict":
            return "None: no new pod has started. The old pods answer as before."
        stub = f'__version__ = "{moved}"\n' + (
            "def table(rows): return rows\n" if moved == "3.0.0" else "def frame(rows): return rows\n"
        )
        files = {f"{base}/__init__.py": stub, "main.py": f"import service\nprint('{service} is up')\n"}
        if kind == "drifted":
            files[f"{user}/__init__.py"] = f"import {base}\n\nempty = {base}.frame([])\n"
            files["service.py"] = f"import {user}\n"
        elif kind == "shadow":
            files[f"{module}.py"] = (
                f'"""Our own helpers for {module}."""\n\n\ndef describe(values):\n    return len(values)\n'
            )
            files["service.py"] = f"from {module} import {member}\n"
        else:
            files["model.pkl"] = f"c{base}\n{scaler}\n)R."
            files["service.py"] = (
                "import pickle\n\nwith open('model.pkl', 'rb') as file:\n    model = pickle.load(file)\n"
            )
        return run(files)

    lock = f"{user}==1.8.0\n{other}==3.9.0" if kind != "conflict" else f"{user}==1.8.0\n{other}==4.0.0"
    freeze = {
        "conflict": f"old pods:\n{base}==2.{minor}.0\n{other}==3.9.0\n{user}==1.8.0\n(the new image does not exist)",
        "drifted": f"{base}==3.0.0        (old pods: 2.{minor}.0)\n{user}==1.8.0\nrequirements.txt:\n{lock}\n({base} is not in it: it comes with {user}, which asks for {base}>=2)",
        "shadow": f"{base}==2.{minor}.0\n{other}==3.9.0\n{user}==1.8.0\nthe same as in the old pods",
        "pickle": f"{base}==3.0.0        (old pods: 2.{minor}.0; pinned in the release, its notes: {scaler} is {scaler}2 now)\n{user}==1.8.0",
    }[kind]
    diff = {
        "conflict": f"requirements.txt\n-{other}==3.9.0\n+{other}==4.0.0        # for its new retries",
        "drifted": "service.py\n+    log.info('ready')        # that is all",
        "shadow": f"{module}.py (new file)\n+def describe(values):\n+    return len(values)",
        "pickle": f"requirements.txt\n-{base}==2.{minor}.0\n+{base}==3.0.0\nmodel.pkl (not changed, of {rng.randint(3, 9)} months ago)",
    }[kind]
    story = {
        "conflict": f"{user} 1.8.0 needs {base} below 3, {other} 4.0.0 needs 3 or above: no set of versions fits both pins, so there is no image.",
        "drifted": f"Nobody changed the code. The rebuild took {base} 3.0.0, which came out in between; {user} asks for >=2 and uses a function that 3 has not. The lock does not name what comes with the packages.",
        "shadow": f"The new file {module}.py lies first on the path, so `from {module} import {member}` finds it and not Python's own.",
        "pickle": f"A pickle holds names, not code. model.pkl asks for {base}.{scaler}, and {base} 3 has no such name.",
    }[kind]
    remedy = {
        "conflict": f"go back to {other} 3.9.0, or move {user} to a version that allows {base} 3; resolve before the release, in CI",
        "drifted": f"pin {base} below 3 now; then lock all packages with what they bring, and build images from the lock",
        "shadow": f"rename {module}.py, and keep our modules in a package",
        "pickle": f"pin {base} to 2.{minor}.0, or retrain and store the model under 3; log versions with each model and load it in a test",
    }[kind]
    mends = {
        "conflict": (
            r"(?:pin|downgrad|revert|roll\w* back|go back|back to|upgrad|relax|loosen|bump|move|keep|change)\w*",
        ),
        "drifted": (r"(?:pin|lock|constrain|upper bound|<\s?3|freeze|downgrad)\w*",),
        "shadow": (r"(?:renam|mov|delet|remov)\w*", r"package"),
        "pickle": (
            r"(?:pin|retrain|re-?train|re-?sav|re-?export|re-?pickl|convert|onnx|skops|downgrad|revert|roll\w* back|same version|alias)\w*",
        ),
    }[kind]
    suspects = {name: fault for name, fault in all_faults.items() if name != kind}
    if kind == "pickle":  # that the package moved on is true here; that nobody pinned it is not
        suspects["drifted"] = replace(suspects["drifted"], says=suspects["drifted"].says[:1])
    return Case(
        report=f"{who}, release manager: the rollout of {service} hangs since 08:40. It is a tiny release. Also in it: the base image, "
        f"Python 3.11.{patch} -> 3.11.{patch + 1}; and the secret of the database was rotated yesterday. It works on my laptop. Shall I "
        "push it again?",
        evidence={
            "events": f"{service}: deployment exceeded its progress deadline\n"
            + (
                f"new pods: ErrImagePull, no such image {service}:new"
                if kind == "conflict"
                else f"new pods: CrashLoopBackOff, exit code 1, {rng.randint(5, 9)} restarts"
            )
            + "\nold pods: 3 of 3 ready",
            "logs": "(no new pod, no log)"
            if kind == "conflict"
            else lambda: crash().splitlines()[-1] + "\n(the process ends; the same at every restart)",
            "traceback": crash,
            "install log": install_log,
            "packages": freeze,
            "deploy diff": f"{diff}\nDockerfile\n-FROM python:3.11.{patch}\n+FROM python:3.11.{patch + 1}",
            "code": "service.py, its imports:\n"
            + {
                "shadow": f"from {module} import {member}",
                "pickle": "import pickle",
                "drifted": f"import {user}",
                "conflict": f"import {user}, {other}",
            }[kind],
            "config": "DATABASE_SECRET: rotated yesterday 16:00; the old pods took it up and are connected.",
            "network": "The package mirror answers; two slow minutes yesterday at 22:10.",
            "reproduce": "On the reporter's laptop it starts: an environment of last month"
            + {
                "shadow": ", in which the new file was never saved.",
                "conflict": ", never installed anew.",
                "drifted": ", never installed anew.",
                "pickle": ", never installed anew.",
            }[kind]
            + " In a fresh one it fails as in the cluster.",
        },
        faults=(all_faults[kind],),
        suspects=tuple(suspects.values()) + HERRINGS,
        needs={
            "conflict": (("install log",),),
            "drifted": (("traceback", "logs"), ("packages", "install log")),
            "shadow": (("traceback", "logs"),),
            "pickle": (("traceback", "logs"), ("packages", "install log", "deploy diff")),
        }[kind],
        order=(
            ("events", "is there an image, does it start, how does it end?"),
            ("install log", "was it built, and from which versions?"),
            ("traceback", "read it from the last line upwards: whose file is each frame?"),
            ("packages", "which version differs between old pods and new ones?"),
            ("deploy diff", "what of that did we do ourselves?"),
        ),
        story=story,
        remedy=remedy,
        mends=(mends,),
        harm=(
            (
                r"(?:push|deploy|try|release|restart|run)\w* (?:it )?(?:once )?again",
                "the same files fail in the same way",
            ),
        ),
    )
