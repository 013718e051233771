"""The parts of a folder on the machines of a Dask cluster (docs/decisions/0023-engine-of-the-cluster.md).

The scheduler gives the parts of a machine that dies to another one. All machines see the same folders under the same
names, and have the same mgrisk; both are checked where the work is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from mgrisk.errors import MgRiskError, usage
from mgrisk.score.parts import Engine, Job, Receipt, score_part

PATIENCE: Final = "20s"
RETRIES: Final = 2
"""How often a part is tried again after an error that is not the data's, such as a network file system that hiccups."""


def on_cluster(address: str) -> Engine:
    """Return the engine of a Dask scheduler, for example ``tcp://10.0.0.1:8786``.

    Raises
    ------
    MgRiskError
        `cluster.not_installed`, `cluster.unreachable`, `cluster.worker_died` where a part killed several machines one
        after the other, and what a part itself is refused for.
    """
    try:
        import distributed as dask
    except ImportError:
        raise usage(
            "cluster.not_installed",
            "Dask is not installed",
            where=f"--cluster {address}",
            hint="pip install 'mgrisk[cluster]', here and on the machines of the cluster",
        ) from None
    distributed: Any = dask  # Dask has no type hints for half of it

    def engine(job: Job, names: Sequence[str]) -> Iterator[tuple[str, Receipt]]:
        try:
            client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as problem:
            raise usage(
                "cluster.unreachable",
                "there is no scheduler",
                where=f"--cluster {address}",
                got=str(problem)[:200] or type(problem).__name__,
                hint="start one with `dask scheduler`, and name it as it tells, tcp://…",
            ) from None
        with client:
            # Impure: the same part may be asked for again after the output was thrown away.
            futures = {client.submit(_attempt, job, name, retries=RETRIES, pure=False): name for name in names}
            for future in distributed.as_completed(futures, loop=client.loop):
                name = futures[future]
                yield name, _received(distributed, future, name)
                # The scheduler need not keep what is on disk.
                future.release()

    return engine


def _attempt(job: Job, name: str) -> Receipt | MgRiskError:
    """Score a part; a refusal is an answer, so that Dask does not try it again."""
    try:
        return score_part(job, name)
    except MgRiskError as refusal:
        return refusal


def _received(distributed: Any, future: Any, name: str) -> Receipt:
    try:
        answer = future.result()
    except distributed.KilledWorker:
        raise usage(
            "cluster.worker_died",
            "every machine that was given this part died over it",
            where=name,
            hint="look at the workers' logs; a part needs some 600 MB whatever its size",
        ) from None
    if isinstance(answer, MgRiskError):
        raise answer
    receipt: Receipt = answer
    return receipt
