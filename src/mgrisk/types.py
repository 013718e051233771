"""Aliases of common array and record types."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
"""An encoded matrix, in the precision of xgboost."""
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
JsonRecord = dict[str, Any]
"""A flat record of a JSON file."""
