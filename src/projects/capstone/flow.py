"""The month as a Metaflow flow: `flow.py run --month 2020-04 --state FOLDER`, and `resume` after a crash.

Each Metaflow step is one of ours, done through the journal: what is finished is not done again, whoever asks,
and a step's process that outlives its killed parent holds the lock, so that a `resume` waits for it.
"""

from __future__ import annotations

from typing import Any

from metaflow import FlowSpec, Parameter, card, current, retry, step
from metaflow.cards import Markdown, Table


class Month(FlowSpec):
    """Ten steps of a month, from the raw trips to a version that answers."""

    month = Parameter("month", help="The month that is over, such as 2020-04.", required=True)
    state = Parameter("state", help="The folder that `walkforward capstone` has begun.", required=True)

    def _do(self, name: str) -> dict[str, Any]:
        from projects.capstone.command import taken_up
        from projects.capstone.loop import do

        return do(taken_up(self.state), self.month, name)

    @step
    def start(self) -> None:
        """Take in the month's data."""
        self.ingest = self._do("ingest")
        self.next(self.validate)

    @step
    def validate(self) -> None:
        """Set aside what breaks a rule."""
        self.validated = self._do("validate")
        self.next(self.features)

    @step
    def features(self) -> None:
        """Compute what is known at the pick-up."""
        self.known = self._do("features")
        self.next(self.canary)

    @retry(times=1)
    @step
    def canary(self) -> None:
        """Settle last month's canary."""
        self.settled = self._do("canary")
        self.next(self.monitor)

    @retry(times=1)
    @step
    def monitor(self) -> None:
        """Log the answers, join the labels."""
        self.seen = self._do("monitor")
        self.next(self.decide)

    @step
    def decide(self) -> None:
        """Ask the policy."""
        self.decided = self._do("decide")
        self.next(self.train)

    @step
    def train(self) -> None:
        """Train what was decided."""
        self.made = self._do("train")
        self.next(self.gate)

    @step
    def gate(self) -> None:
        """Ask the gate."""
        self.passed = self._do("gate")
        self.next(self.register)

    @retry(times=1)
    @step
    def register(self) -> None:
        """Make a version."""
        self.registered = self._do("register")
        self.next(self.deploy)

    @retry(times=1)
    @step
    def deploy(self) -> None:
        """Let it answer."""
        self.deployed = self._do("deploy")
        self.next(self.end)

    @card(type="blank")
    @step
    def end(self) -> None:
        """Write the pages; the card has their short form."""
        from projects.capstone.command import taken_up
        from projects.capstone.pages import short, write

        state = taken_up(self.state)
        with state.locked():
            self.pages = [str(one) for one in write(state, self.month)]
        current.card.append(Markdown(f"# Run of {self.month}"))
        current.card.append(Table(short(state, self.month), headers=["step", "came to", "seconds"]))


if __name__ == "__main__":
    Month()
