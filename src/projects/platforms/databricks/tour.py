"""What a lesson needs beside the workspace: to come as somebody, and to read a refusal in one line."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from databricks.sdk.errors import DatabricksError
from mlflow.exceptions import MlflowException

QUIET = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # no link to the UI after each run
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "_MLFLOW_ENABLE_UC_TRACE_UPSELL": "false",  # no tip on traces when an experiment is chosen
}
"""Settings of MLflow that keep a notebook free of links, bars and tips."""

_OURS = re.compile(r"DATABRICKS_")
_PART = {
    r"/api/.*/mlflow/|/ajax-api/.*/mlflow/": "runs and experiments",
    r"/api/2\.0/fs/": "files in volumes",
    r"/api/2\.\d/jobs/": "jobs",
    r"/oidc/|/api/2\.0/token/|.*/scim/": "who you are",
    r"/\.well-known/|/health": "where things are",
}


@contextlib.contextmanager
def coming_as(credentials: Mapping[str, str]) -> Iterator[None]:
    """Let all clients in the block find these credentials in the environment, and no others."""
    before = {name: value for name, value in os.environ.items() if _OURS.match(name)}
    for name in before:
        del os.environ[name]
    # a profile of the reader's own, in ~/.databrickscfg, is no credential of the lesson's
    os.environ |= {"DATABRICKS_CONFIG_FILE": os.devnull, **credentials}
    try:
        yield
    finally:
        for name in [name for name in os.environ if _OURS.match(name)]:
            del os.environ[name]
        os.environ |= before


def said(action: Callable[..., Any], *arguments: Any) -> str:
    """Call something that may be refused; return what it returns as text, or the refusal's first sentence.

    Clients put their whole configuration behind the words of a refusal; that part is left out.
    """
    try:
        return str(action(*arguments))
    except (DatabricksError, MlflowException, ValueError) as refusal:
        words = re.split(r"\. Config:|\. \w*[Rr]esponse body", str(refusal), maxsplit=1)[0]
        return "refused: " + words.partition(", e.g.")[0].strip().rstrip(".")


def part_of(path: str) -> str:
    """Return which part of the platform a path of the API belongs to."""
    return next((name for pattern, name in _PART.items() if re.match(pattern, path)), "anything else")


def fresh(folder: Path) -> Path:
    """Return the folder, emptied of what an earlier run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
