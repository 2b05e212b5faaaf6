"""Jobs that really run: a Python file of a volume in a process of its own, under the job's identity."""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
import time
from typing import Any

from course.servers import base_environment
from projects.platforms.databricks.access import Access, Identity, Refused
from projects.platforms.databricks.volumes import Volumes

TASK_SECONDS = 600
_COMPUTE = ("environment_key", "new_cluster", "existing_cluster_id", "job_cluster_key")


class Jobs:
    """Job definitions and their runs. What a task prints is its output; its exit code decides the result."""

    def __init__(self, access: Access, volumes: Volumes) -> None:
        self.access, self.volumes = access, volumes
        self.jobs: dict[int, dict[str, Any]] = {}
        self.runs: dict[int, dict[str, Any]] = {}
        self.outputs: dict[int, dict[str, Any]] = {}
        self._job_ids, self._run_ids = itertools.count(101), itertools.count(1001)
        self._working: set[asyncio.Task[None]] = set()

    async def answer(self, call: str, asked: dict[str, Any], caller: Identity, host: str) -> dict[str, Any]:
        """Answer `/api/2.x/jobs/<call>`. Raises Refused, also for what this workspace does not run."""
        match call:
            case "create":
                return self._create(asked, caller)
            case "get":
                return self._job(asked)
            case "list":
                return {"jobs": list(self.jobs.values())}
            case "delete":
                del self.jobs[self._job(asked)["job_id"]]
                return {}
            case "run-now":
                return self._start(self._job(asked), asked, host)
            case "runs/get":
                return self._run(asked)
            case "runs/get-output":
                return {"metadata": self._run(asked), **self.outputs.get(int(asked["run_id"]), {})}
            case _:
                raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for jobs/{call}")

    def _create(self, asked: dict[str, Any], caller: Identity) -> dict[str, Any]:
        tasks = asked.get("tasks") or []
        if not tasks:
            raise Refused(400, "INVALID_PARAMETER_VALUE", "A job needs at least one task.")
        for task in tasks:
            key = task.get("task_key")
            if not key or "spark_python_task" not in task:
                message = f"Task {key!r}: this workspace runs spark_python_task and nothing else."
                raise Refused(400, "INVALID_PARAMETER_VALUE", message)
            if not any(name in task for name in _COMPUTE):
                message = f"Task {key!r} names no compute: one of {', '.join(_COMPUTE)}."
                raise Refused(400, "INVALID_PARAMETER_VALUE", message)
            for needed in [one["task_key"] for one in task.get("depends_on", [])]:
                if needed not in [one.get("task_key") for one in tasks]:
                    raise Refused(
                        400, "INVALID_PARAMETER_VALUE", f"Task {key!r} depends on unknown {needed!r}."
                    )
        as_whom = asked.get("run_as") or {}
        name = as_whom.get("service_principal_name") or as_whom.get("user_name") or caller.name
        runner = next(
            (one for one in self.access.identities.values() if name in (one.name, one.client_id)), None
        )
        if runner is None:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"The identity {name!r} in run_as does not exist.")
        number = next(self._job_ids)
        self.jobs[number] = {
            "job_id": number,
            "creator_user_name": caller.name,
            "run_as_user_name": runner.name,
            "settings": asked,
        }
        return {"job_id": number}

    def _job(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = int(asked.get("job_id", 0))
        if number not in self.jobs:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Job {number} does not exist.")
        return self.jobs[number]

    def _run(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = int(asked.get("run_id", 0))
        if number not in self.runs:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Run {number} does not exist.")
        return self.runs[number]

    def _start(self, job: dict[str, Any], asked: dict[str, Any], host: str) -> dict[str, Any]:
        first, tasks = next(self._run_ids), job["settings"]["tasks"]
        state = {"life_cycle_state": "PENDING"}
        parts = []
        for task in tasks:
            number = next(self._run_ids)
            parts.append({**task, "run_id": number, "state": state, "attempt_number": 0})
            self.runs[number] = parts[-1]
        run = {"run_id": first, "job_id": job["job_id"], "state": state, "tasks": parts}
        run |= {"run_name": job["settings"].get("name", ""), "start_time": int(1000 * time.time())}
        self.runs[first] = run
        work = asyncio.create_task(self._work(run, job["run_as_user_name"], asked, host))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        return {"run_id": first, "number_in_job": first}

    async def _work(self, run: dict[str, Any], runner: str, asked: dict[str, Any], host: str) -> None:
        run["state"] = {"life_cycle_state": "RUNNING"}
        done: dict[str, str] = {}
        while waiting := [one for one in run["tasks"] if one["task_key"] not in done]:
            ready = [
                one for one in waiting if all(up["task_key"] in done for up in one.get("depends_on", []))
            ]
            if not ready:
                ready, result = waiting[:1], "EXCLUDED"  # tasks that wait for each other
            elif any(done[up["task_key"]] != "SUCCESS" for up in ready[0].get("depends_on", [])):
                result = "UPSTREAM_FAILED"
            else:
                result = await self._task(ready[0], runner, asked.get("python_params"), host)
            done[ready[0]["task_key"]] = result
            ready[0]["state"] = {"life_cycle_state": "TERMINATED", "result_state": result}
        failed = [name for name, result in done.items() if result != "SUCCESS"]
        run["state"] = {"life_cycle_state": "TERMINATED", "result_state": "FAILED" if failed else "SUCCESS"}
        if failed:
            run["state"]["state_message"] = (
                f"Task {failed[0]} failed with message: its program ended with an error."
            )
        run["end_time"] = int(1000 * time.time())

    def _mounted(self, word: str) -> str:
        """Return a path of a volume as the program finds it here; on the platform volumes are mounted."""
        return str(self.volumes.local(word)) if re.fullmatch(r"/Volumes(/[\w.-]+){4,}", word) else word

    async def _task(self, task: dict[str, Any], runner: str, given: list[str] | None, host: str) -> str:
        python = task["spark_python_task"]
        token, _ = self.access.issue(self.access.identities[runner], TASK_SECONDS, "a job's run")
        env = base_environment(drop="DATABRICKS_|MLFLOW_") | {
            "DATABRICKS_HOST": host,
            "DATABRICKS_TOKEN": token,
        }
        env |= {"MLFLOW_TRACKING_URI": "databricks", "MLFLOW_REGISTRY_URI": "databricks-uc"}
        task["state"] = {"life_cycle_state": "RUNNING"}
        try:
            program = self.volumes.local(python["python_file"])
        except Refused as refused:
            self.outputs[task["run_id"]] = {"error": str(refused)}
            return "FAILED"
        asked = [self._mounted(word) for word in given or python.get("parameters", [])]
        words = [sys.executable, "-P", str(program), *asked]
        child = await asyncio.create_subprocess_exec(
            *words,
            env=env,
            cwd=self.volumes.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await asyncio.wait_for(child.communicate(), TASK_SECONDS)
        except TimeoutError:
            child.kill()
            self.outputs[task["run_id"]] = {"error": f"Timed out after {TASK_SECONDS} s."}
            return "TIMEDOUT"
        text = printed.decode("utf-8", "replace")
        self.outputs[task["run_id"]] = {"logs": text}
        if child.returncode:
            self.outputs[task["run_id"]]["error"] = (text.strip().splitlines() or ["it printed nothing"])[-1]
        return "FAILED" if child.returncode else "SUCCESS"
