"""Runs the site's programs in Node, so that a test can hold them to the terminal's."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[1] / "src" / "authoring" / "site" / "static"
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")


def node(script: str, given: object, modules: tuple[str, ...], zone: str = "UTC") -> object:
    """Run a script beside the site's programs; it finds `given`, and what it returns comes back as JSON."""
    head = "".join(
        f"import * as {name} from {json.dumps((STATIC / f'{name}.js').as_uri())};\n" for name in modules
    )
    head += "import {readFileSync} from 'node:fs';\nconst given = JSON.parse(readFileSync(0, 'utf8'));\n"
    body = f"process.stdout.write(JSON.stringify((() => {{ {script} }})()));"
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", head + body],
        input=json.dumps(given),
        env=os.environ | {"TZ": zone},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
