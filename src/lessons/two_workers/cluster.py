"""Two Dask workers: their start, rows that are placed on them, and what each rank of a training tells."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster, get_worker


@contextlib.contextmanager
def workers(number: int = 2) -> Iterator[Client]:
    """The client of a scheduler with this many workers of one thread, on this machine only."""
    with (
        LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(_quiet)
        yield client


def _quiet() -> None:
    """XGBoost's C++ writes each rank to file descriptor 2, past every setting."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def addresses(client: Client) -> list[str]:
    """The workers, in the order of their names."""
    found = client.scheduler_info(n_workers=-1)["workers"]
    return sorted(found, key=lambda one: found[one]["name"])


def placed(client: Client, parts: Sequence[pd.DataFrame], columns: list[str], target: str) -> Any:
    """Each part on a worker of its own: a Dask array of the columns, and one of the target."""

    def spread(tables: list[np.ndarray]) -> Any:
        put = [
            client.scatter(table, workers=[where], hash=False)
            for table, where in zip(tables, addresses(client), strict=True)
        ]
        blocks = [da.from_delayed(p, t.shape, t.dtype) for p, t in zip(put, tables, strict=True)]
        return da.concatenate(blocks)

    return spread([part[columns].to_numpy() for part in parts]), spread(
        [part[target].to_numpy() for part in parts]
    )


def tell_rank(predicted: np.ndarray, matrix: Any) -> tuple[str, float]:
    """A metric that a rank computes on its own rows: it tells the scheduler who it is and how many they are."""
    from xgboost import collective

    seen = {"rank": collective.get_rank(), "of": collective.get_world_size(), "rows": len(predicted)}
    get_worker().log_event("ranks", seen)
    return "rows", float(len(predicted))


def ranks(client: Client) -> pd.DataFrame:
    """What the ranks have told so far, a line for each."""
    told = [event for _, event in client.get_events("ranks")]
    return pd.DataFrame(told)[["rank", "of", "rows"]].drop_duplicates().sort_values(["rank", "rows"])
