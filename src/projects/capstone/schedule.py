"""The schedule of the flow, for a cluster and for one machine; applied by whoever owns the cluster.

Metaflow's own generator (`argo-workflows create --only-json`) wants the package `kubernetes` and a bucket,
and leaves the cron out (Metaflow's issue 1730). The journal makes a restart harmless, so a plain CronJob will
do.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import yaml

from projects.capstone.state import STEPS

WHEN = "0 6 6 * *"  # the sixth: a month's file comes days later; the run stands on the first all the same


def cron_job(image: str = "walkforward-course:1") -> dict[str, Any]:
    """A CronJob that runs the next month, one at a time, and again when it dies."""
    container = {
        "name": "flow",
        "image": image,
        "command": ["walkforward", "capstone", "--next", "--state", "/state"],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "volumeMounts": [{"name": "state", "mountPath": "/state"}],
    }
    pod = {
        "restartPolicy": "OnFailure",
        "containers": [container],
        "volumes": [{"name": "state", "persistentVolumeClaim": {"claimName": "capstone-state"}}],
    }
    job = {"backoffLimit": 3, "activeDeadlineSeconds": 3600, "template": {"spec": pod}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "capstone", "annotations": {"walkforward/steps": " ".join(STEPS)}},
        "spec": {
            "schedule": WHEN,
            "timeZone": "America/New_York",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 86_400,
            "jobTemplate": {"spec": job},
        },
    }


def manifest() -> str:
    """The CronJob as YAML, with the line for this machine's crontab as a comment above."""
    command, folder = Path(sys.executable).parent / "walkforward", Path.cwd() / "capstone"
    words = shlex.join([str(command), "capstone", "--next", "--state", str(folder)])
    here = f"{WHEN} {words}".replace("%", r"\%")  # which is a new line in a crontab
    return f"# On one machine, in its crontab: {here}\n" + yaml.safe_dump(cron_job(), sort_keys=False)
