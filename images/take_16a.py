"""Takes the picture of lesson 16a: Dask's dashboard while a backtest runs on two workers.

python images/take_16a.py
"""

from __future__ import annotations

import logging
import threading

import joblib
import numpy as np
import pandas as pd
from chromium import browser, save
from distributed import Client, LocalCluster

from walkforward.forecasting import WalkForwardSplit, backtest


class Usual:
    """The median of each weekday."""

    def fit(self, frame: pd.DataFrame) -> Usual:
        """Remember it."""
        self.usual = frame.groupby(frame["ds"].dt.dayofweek)["y"].median()
        return self

    def predict(self, future: pd.DataFrame) -> pd.DataFrame:
        """The same for each day ahead."""
        return future[["ds"]].assign(yhat=future["ds"].dt.dayofweek.map(self.usual))


def main() -> None:
    """Run a backtest of many series, take the picture in the middle, stop the cluster."""
    days = pd.date_range("2015-01-01", periods=700)
    y = np.random.default_rng(0).normal(10, 1, (128, len(days)))
    frame = pd.DataFrame(y.T, index=days).rename_axis("ds").melt(var_name="unique_id", ignore_index=False)
    frame = frame.reset_index().rename(columns={"value": "y"})
    local = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with LocalCluster(n_workers=2, threads_per_worker=1, **local) as cluster, Client(cluster) as client:

        def run() -> None:
            with joblib.parallel_config(backend="dask", client=client):
                backtest(frame, Usual, WalkForwardSplit(14, 8), progress=False)

        with browser(client.dashboard_link) as page:
            page.wait_for_timeout(10_000)  # it draws itself after its data
            running = threading.Thread(target=run)
            running.start()
            page.wait_for_timeout(15_000)
            save(page, "16a_dashboard", 0, 0, 1280, 760)
            running.join()


if __name__ == "__main__":
    main()
