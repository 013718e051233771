"""What MLflow's server answers to a request that cannot be scored."""

from __future__ import annotations

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from mgrisk.errors import MgRiskError


class RefusedRequest(MlflowException):
    """A request that cannot be answered, status 400, in our own words: MLflow would put the people before them."""

    def __init__(self, problem: MgRiskError) -> None:
        self._said = "; ".join(problem.lines())
        super().__init__(self._said, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """What is wrong, where, and what to do."""
        return self._said

    @message.setter
    def message(self, message: str) -> None:
        """Leave it as it is."""
