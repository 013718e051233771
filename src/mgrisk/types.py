"""Names of the array types that most of mgrisk takes and returns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
"""An encoded matrix: xgboost's own precision."""
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
JsonRecord = dict[str, Any]
"""A flat record of a JSON file."""
