"""Command and sweep jobs that really run: each command a process of this machine, its run in MLflow."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from course.servers import base_environment
from projects.platforms.azure_ml.access import Application, Refused
from projects.platforms.azure_ml.tracking import Tracking

SECONDS = 600
_PLACE = re.compile(r"\$\{\{(inputs|search_space)\.(\w+)\}\}")


class Jobs:
    """Runs jobs one after the other; each has a folder with what its program printed in `std_log.txt`.

    `code(asset)` gives the folder of an uploaded code asset, `variables(job, run, caller)` tells a program's
    MLflow where to log.
    """

    def __init__(
        self,
        folder: Path,
        tracking: Tracking,
        code: Callable[[str], Path],
        variables: Callable[[str, str, Application], dict[str, str]],
    ) -> None:
        self.folder, self.tracking, self.code, self.variables = folder, tracking, code, variables
        self._working: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    def start(self, job: dict[str, Any], caller: Application) -> None:
        """Check a job and start it; its `properties.status` tells how it goes. Raises Refused."""
        asked = job["properties"]
        kind = asked.get("jobType")
        if kind not in ("Command", "Sweep"):
            raise Refused(400, "UserError", f"Job type {kind!r} is not run here: Command and Sweep are.")
        trials = [{}] if kind == "Command" else draws(asked)
        asked["status"] = "Queued"
        work = asyncio.create_task(self._run(job, trials, caller))
        self._working.add(work)
        work.add_done_callback(self._working.discard)

    async def _run(self, job: dict[str, Any], trials: list[dict[str, Any]], caller: Application) -> None:
        async with self._one_at_a_time:
            asked, name = job["properties"], job["name"]
            asked["status"] = "Running"
            experiment = asked.get("experimentName") or "Default"
            run = await asyncio.to_thread(self.tracking.new_run, experiment, name)
            if asked["jobType"] == "Command":
                good = await self._command(name, run, asked, asked, {}, caller)
            else:
                good = await self._sweep(name, run, asked, trials, caller)
            await asyncio.to_thread(self.tracking.finish, run, good)
            asked["status"] = "Completed" if good else "Failed"

    async def _sweep(
        self, name: str, run: str, asked: dict[str, Any], trials: list[dict[str, Any]], caller: Application
    ) -> bool:
        """Run the trials; note the best by the objective's metric. True when one trial gave the metric."""
        wanted, scores = asked["objective"]["primaryMetric"], {}
        for number, chosen in enumerate(trials):
            trial = f"{name}_{number}"
            experiment = asked.get("experimentName") or "Default"
            own = await asyncio.to_thread(self.tracking.new_run, experiment, trial, run)
            good = await self._command(trial, own, asked["trial"], asked, chosen, caller)
            await asyncio.to_thread(self.tracking.finish, own, good)
            score = await asyncio.to_thread(self.tracking.metric, own, wanted)
            if good and score is not None:
                scores[trial] = score
        if not scores:
            return False
        pick = min if asked["objective"]["goal"].lower() == "minimize" else max
        best = pick(scores, key=lambda trial: scores[trial])
        asked["properties"] = {"best_child_run_id": best, "score": repr(scores[best])}
        return True

    async def _command(
        self,
        name: str,
        run: str,
        what: dict[str, Any],
        job: dict[str, Any],
        chosen: dict[str, Any],
        caller: Application,
    ) -> bool:
        """Run one command with its inputs put in; True when it ended with 0."""
        inputs = {key: one.get("value", one.get("uri")) for key, one in (job.get("inputs") or {}).items()}
        values = {"inputs": inputs, "search_space": chosen}
        words = _PLACE.sub(lambda found: shlex.quote(str(values[found[1]][found[2]])), what["command"])
        place = self.folder / name
        place.mkdir(parents=True, exist_ok=True)
        where = self.code(what["codeId"]) if what.get("codeId") else place
        env = base_environment(drop="AZURE_|MLFLOW_|WORKSPACE_") | self.variables(name, run, caller)
        env |= {key: str(value) for key, value in (what.get("environmentVariables") or {}).items()}
        with (place / "std_log.txt").open("wb") as log:
            child = await asyncio.create_subprocess_shell(words, cwd=where, env=env, stdout=log, stderr=log)
            try:
                return await asyncio.wait_for(child.wait(), SECONDS) == 0
            except TimeoutError:
                child.kill()
                return False


def draws(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the values of each trial: all of a grid, or draws. Raises Refused for what is not drawn here."""
    space, most = sweep.get("searchSpace") or {}, int((sweep.get("limits") or {}).get("maxTotalTrials") or 4)
    algorithm = (sweep.get("samplingAlgorithm") or {}).get("samplingAlgorithmType", "Random")
    if algorithm == "Grid":
        if any(one[0] != "choice" for one in space.values()):
            raise Refused(400, "UserError", "Grid sampling wants choices alone.")
        rows = itertools.product(*[one[1][0] for one in space.values()])
        return [dict(zip(space, row, strict=True)) for row in rows][:most]
    if algorithm != "Random":
        raise Refused(400, "UserError", f"Sampling {algorithm!r} is not run here: Random and Grid are.")
    seed = (sweep.get("samplingAlgorithm") or {}).get("seed") or 0
    draw = random.Random(seed)
    return [{name: _one(draw, *one) for name, one in space.items()} for _ in range(most)]


def _one(draw: random.Random, kind: str, arguments: list[Any]) -> Any:
    match kind:
        case "choice":
            return draw.choice(arguments[0])
        case "uniform":
            return draw.uniform(*arguments)
        case "loguniform":  # of the exponents of e
            return math.exp(draw.uniform(*arguments))
        case "randint":
            return draw.randrange(arguments[0])
        case _:
            raise Refused(400, "UserError", f"The distribution {kind!r} is not drawn from here.")
