"""The error response of MLflow's server to a request that cannot be scored."""

from __future__ import annotations

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from mgrisk.errors import MgRiskError


class RefusedRequest(MlflowException):
    """A request that cannot be scored, status 400; the message has no data of people, which MLflow would prepend."""

    def __init__(self, problem: MgRiskError) -> None:
        self._said = "; ".join(problem.lines())
        super().__init__(self._said, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """What is wrong, where, and what to do."""
        return self._said

    @message.setter
    def message(self, message: str) -> None:
        """Ignore a new message."""
