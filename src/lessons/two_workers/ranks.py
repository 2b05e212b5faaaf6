"""Data parallelism by hand: a small network, trained by processes in a ring that count what they hold and send.

A rank is one of these processes. `how` is "replicated" (each holds all of the state, gradients are all-reduced) or
"sharded" (each holds its share of parameters, gradients and moments; a layer is gathered while it is used).
"""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

RATE, BETA1, BETA2, TINY = 1e-2, 0.9, 0.999, 1e-8  # of Adam


@dataclass
class Ring:
    """A rank's place in the ring: it sends to the right and receives from the left."""

    rank: int = 0
    size: int = 1
    right: Connection | None = None
    left: Connection | None = None
    sent: int = 0

    def _pass(self, part: np.ndarray) -> np.ndarray:
        self.sent += part.nbytes
        if self.rank % 2:  # odd ranks receive first: were all to send, full pipes would block them all
            got = self.left.recv_bytes()
            self.right.send_bytes(part.tobytes())
        else:
            self.right.send_bytes(part.tobytes())
            got = self.left.recv_bytes()
        return np.frombuffer(got, part.dtype)

    def reduce_scatter(self, full: np.ndarray) -> np.ndarray:
        """The sum over all ranks of this rank's share of `full`."""
        parts = list(full.reshape(self.size, -1))
        for step in range(1, self.size):
            got = self._pass(parts[(self.rank - step) % self.size])
            parts[(self.rank - step - 1) % self.size] = parts[(self.rank - step - 1) % self.size] + got
        return parts[self.rank]

    def all_gather(self, share: np.ndarray) -> np.ndarray:
        """All ranks' shares, one after the other."""
        parts = {self.rank: share}
        for step in range(self.size - 1):
            parts[(self.rank - step - 1) % self.size] = self._pass(parts[(self.rank - step) % self.size])
        return np.concatenate([parts[rank] for rank in range(self.size)])

    def all_reduce(self, full: np.ndarray) -> np.ndarray:
        """The sum of `full` over all ranks: a reduce-scatter, then an all-gather."""
        return self.all_gather(self.reduce_scatter(full))


def forward(weights: np.ndarray, shape: tuple[int, int], x: np.ndarray, last: bool) -> np.ndarray:
    """One layer; its last row of weights is the bias."""
    table = weights[: np.prod(shape)].reshape(shape)
    z = x @ table[:-1] + table[-1]
    return z if last else np.tanh(z)


def backward(
    weights: np.ndarray, shape: tuple[int, int], x: np.ndarray, out: np.ndarray, grad: np.ndarray, last: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The layer's gradient (a sum over rows) and that of its input."""
    table = weights[: np.prod(shape)].reshape(shape)
    grad = grad if last else grad * (1 - out**2)
    of_table = np.vstack([x.T @ grad, grad.sum(axis=0)])
    return np.pad(of_table.ravel(), (0, len(weights) - of_table.size)), grad @ table[:-1].T


def start(shapes: Sequence[tuple[int, int]], size: int) -> list[np.ndarray]:
    """Each layer as one row of numbers, padded so that `size` ranks can share it."""
    rng, layers = np.random.default_rng(0), []
    for shape in shapes:
        table = rng.normal(size=shape) / np.sqrt(shape[0])
        layers.append(np.pad(table.ravel(), (0, -table.size % size)).astype(np.float32))
    return layers


@dataclass
class Rank:
    """What one rank holds, and a step of its training."""

    ring: Ring
    shapes: list[tuple[int, int]]
    sharded: bool
    layers: list[np.ndarray] = field(default_factory=list)
    gathered: int = 0  # most bytes of gathered layers at one time

    def __post_init__(self) -> None:
        """Take the share of each layer, or all of it."""
        self.layers = [self._mine(layer) for layer in start(self.shapes, self.ring.size)]
        self.grads = [np.zeros_like(layer) for layer in self.layers]
        self.m, self.v = ([np.zeros_like(layer) for layer in self.layers] for _ in range(2))
        self.steps = 0

    def _mine(self, layer: np.ndarray) -> np.ndarray:
        return layer.reshape(self.ring.size, -1)[self.ring.rank].copy() if self.sharded else layer

    def whole(self, number: int) -> np.ndarray:
        """A layer, gathered for as long as it is used."""
        if not self.sharded:
            return self.layers[number]
        layer = self.ring.all_gather(self.layers[number])
        self.gathered = max(self.gathered, layer.nbytes)
        return layer

    def step(self, x: np.ndarray, y: np.ndarray, rows: int) -> None:
        """One step of Adam on these rows, of which all ranks together have `rows`."""
        last, outs = len(self.layers) - 1, [x]
        for number, shape in enumerate(self.shapes):
            outs.append(forward(self.whole(number), shape, outs[-1], number == last))
        grad = (2 * (outs[-1] - y) / rows).astype(np.float32)
        for number in range(last, -1, -1):
            full, grad = backward(
                self.whole(number), self.shapes[number], outs[number], outs[number + 1], grad, number == last
            )
            reduce = self.ring.reduce_scatter if self.sharded else self.ring.all_reduce
            self.grads[number] = reduce(full.astype(np.float32)) if self.ring.size > 1 else full
        self.steps += 1
        for layer, grad, m, v in zip(self.layers, self.grads, self.m, self.v, strict=True):
            m += (1 - BETA1) * (grad - m)
            v += (1 - BETA2) * (grad**2 - v)
            layer -= RATE * (m / (1 - BETA1**self.steps)) / (np.sqrt(v / (1 - BETA2**self.steps)) + TINY)

    @property
    def held(self) -> int:
        """Bytes of parameters, gradients and both moments."""
        return sum(part.nbytes for parts in (self.layers, self.grads, self.m, self.v) for part in parts)


def _work(
    ring: Ring, shapes: list[tuple[int, int]], sharded: bool, x: Any, y: Any, rows: int, told: Any
) -> None:
    rank = Rank(ring, shapes, sharded)
    rank.step(x, y, rows)
    first = [ring.all_gather(grad) if sharded else grad for grad in rank.grads]
    ring.sent = 0
    rank.step(x, y, rows)
    sent = ring.sent
    end = [rank.whole(number) for number in range(len(shapes))]
    told.send(
        {
            "held": rank.held,
            "gathered": rank.gathered,
            "sent": sent,
            "gradient": _flat(first, shapes),
            "weights": _flat(end, shapes),
        }
    )
    told.recv()  # nobody leaves the ring before all have told


def _flat(layers: Sequence[np.ndarray], shapes: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.concatenate([layer[: np.prod(shape)] for layer, shape in zip(layers, shapes, strict=True)])


def two_steps(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], shapes: Sequence[tuple[int, int]], how: str = "replicated"
) -> list[dict[str, Any]]:
    """Train two steps, a process for each part of the rows; what each rank tells.

    `gradient` is that of the first step, `sent` are the bytes of the second. One part is trained in this process.
    """
    size, rows = len(parts), sum(len(y) for _, y in parts)
    mine, theirs = mp.Pipe()
    if size == 1:
        theirs.send("go")
        _work(Ring(), list(shapes), how == "sharded", *parts[0], rows, _Both(mine, theirs))
        return [theirs.recv()]
    context = mp.get_context("spawn")
    wires = [context.Pipe(duplex=False) for _ in range(size)]  # wires[r] leads from r to its right
    tellers = [context.Pipe() for _ in range(size)]
    ranks = []
    for rank, (x, y) in enumerate(parts):
        ring = Ring(rank, size, wires[rank][1], wires[rank - 1][0])
        arguments = (ring, list(shapes), how == "sharded", x, y, rows, tellers[rank][1])
        ranks.append(context.Process(target=_work, args=arguments, daemon=True))
    for one in ranks:
        one.start()
    for end in (*(end for wire in wires for end in wire), *(teller[1] for teller in tellers)):
        end.close()
    try:
        told = [teller[0].recv() for teller in tellers]
        for teller in tellers:
            teller[0].send("go")
        return told
    finally:
        for one in ranks:
            one.join(timeout=30)
            one.kill()


@dataclass
class _Both:
    """A pipe whose two ends are in one process."""

    out: Connection
    back: Connection

    def send(self, what: Any) -> None:
        self.out.send(what)

    def recv(self) -> Any:
        return self.out.recv()
