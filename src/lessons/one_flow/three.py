"""Three small steps as a Metaflow flow: `three.py run --folder FOLDER`, and `resume` after the fault.

Each step leaves its name in `ran`. The second appends three answers to `answers`, then asks a store: a file
that is not there until somebody starts it.
"""

from __future__ import annotations

from pathlib import Path

from metaflow import FlowSpec, Parameter, step


class Three(FlowSpec):
    """Take in, log, end."""

    folder = Parameter("folder", required=True)

    def _note(self, name: str, *lines: str) -> None:
        with Path(self.folder, name).open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))

    @step
    def start(self) -> None:
        """Take in three trips."""
        self._note("ran", "start")
        self.trips = ["2020-04/0", "2020-04/1", "2020-04/2"]
        self.next(self.log)

    @step
    def log(self) -> None:
        """Append their answers; then the store is asked."""
        self._note("ran", "log")
        self._note("answers", *self.trips)
        if not Path(self.folder, "store").exists():
            raise ConnectionError("the store does not answer")
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing is left to do."""
        self._note("ran", "end")


if __name__ == "__main__":
    Three()
