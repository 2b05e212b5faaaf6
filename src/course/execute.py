"""The one executor of notebooks: `walkforward run` and the build both ask it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papermill.engines import NBClientEngine, papermill_engines
from papermill.execute import prepare_notebook_metadata
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

KERNEL = "python3"


@dataclass(frozen=True)
class CellError:
    """An exception in a cell that was not to raise one."""

    cell: Any
    name: str
    message: str


class _Engine(NBClientEngine):
    """papermill's engine, which says when a code cell is done."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, on_cell: Callable[[], None] | None = None, **options: Any
    ) -> None:
        complete = nb_man.cell_complete

        def cell_complete(cell: Any, **how: Any) -> None:
            complete(cell, **how)
            if on_cell is not None and cell.cell_type == "code":
                on_cell()

        nb_man.cell_complete = cell_complete
        super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register("walkforward", _Engine)


def load(path: Path) -> Any:
    """Return a notebook with the metadata that papermill asks for. Raises: whatever makes it unreadable."""
    return load_notebook_node(str(path))


def with_parameters(notebook: Any, parameters: dict[str, Any]) -> Any:
    """Return the notebook ready to be executed, with the parameters set in a cell after the tagged one."""
    if parameters:
        notebook = parameterize_notebook(notebook, parameters, kernel_name=KERNEL, language="python")
    return prepare_notebook_metadata(notebook, None, None)


def execute(
    notebook: Any, *, folder: Path | None = None, on_cell: Callable[[], None] | None = None, **options: Any
) -> str:
    """Execute in place what `with_parameters` gave; its cells keep their outputs, errors among them.

    The kernel starts in `folder` (default: the current one); `options` go to papermill's engine. Returns what
    ended it early, a dead kernel or a timeout, in one line; empty when only cells raised, or nothing did.
    """
    if folder is not None:
        options["resources"] = {"metadata": {"path": str(folder)}}
    # Not papermill.execute_notebook: to that, an exception shown on purpose (`raises-exception`) is a fault.
    try:
        papermill_engines.execute_notebook_with_engine(
            "walkforward", notebook, kernel_name=KERNEL, input_path=None, on_cell=on_cell, **options
        )
    except Exception as error:  # whatever became of the kernel
        return one_line(error)
    return ""


def cell_errors(notebook: Any) -> list[CellError]:
    """Return the exceptions in the outputs, but for those of cells tagged `raises-exception`."""
    return [
        CellError(cell, output.ename, str(output.evalue))
        for cell in notebook.cells
        if "raises-exception" not in cell.metadata.get("tags", [])
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def one_line(error: Exception) -> str:
    """Return an exception's name and message in one line of at most 200 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
