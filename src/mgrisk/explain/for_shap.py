"""SHAP values as a `shap.Explanation` for shap's plots, with the index of the people and a table."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import pandas as pd
import shap
from slicer import Obj

from mgrisk.types import Floats

SHOWN: Final = 5


class ShapExplanation(shap.Explanation):  # type: ignore[misc]  # shap has no types
    """SHAP values of people in calibrated log-odds, one row each: `values`, `base_values`, `data`, `feature_names`.

    Works wherever a `shap.Explanation` does: in plots, and in slices such as ``explanation[:, "age_years"]``. All
    values of a rejected person are NaN.

    Parameters
    ----------
    *given, **named
        As for `shap.Explanation`.
    index
        Index of the people, shape (n,). It is not `instance_names`, since shap would take positions for names then.

    Examples
    --------
    >>> import numpy as np
    >>> one = ShapExplanation(np.array([[0.5, -0.2]]), np.array([-3.0]), feature_names=["age_years", "sex"])
    >>> one.log_odds.round(1).tolist(), one
    ([-2.7], <SHAP values of 1 person and 2 features, in log-odds>)
    """

    def __init__(self, *given: Any, index: pd.Index | None = None, **named: Any) -> None:
        super().__init__(*given, **named)
        self._put(np.arange(len(self.values)) if index is None else index.to_numpy(dtype=object))

    def _put(self, index: Any) -> None:
        # Stored where shap slices it together with the values.
        self._s.index = Obj(index, 0)

    def __copy__(self) -> Self:
        copied: Self = super().__copy__()
        copied.__class__ = type(self)
        copied._put(self.index)
        return copied

    @property
    def index(self) -> Any:
        """Index of the people, shape (n,), or of a single person."""
        return self._s.index

    @property
    def log_odds(self) -> Floats:
        """Base value plus all SHAP values: the logit of the reported risk, shape (n,)."""
        total: Floats = self.base_values + self.values.sum(axis=-1)
        return total

    def frame(self) -> pd.DataFrame:
        """Return `base_value` and the SHAP value of each feature, one row for each person; index as in the input."""
        people = self.index if np.ndim(self.values) > 1 else [self.index]
        table = pd.DataFrame(np.atleast_2d(self.values), columns=list(self.feature_names), index=pd.Index(people))
        table.insert(0, "base_value", self.base_values)
        return table

    def __repr__(self) -> str:
        *people, features = self.shape
        n = people[0] if people else 1
        return f"<SHAP values of {n:,} {'person' if n == 1 else 'people'} and {features} features, in log-odds>"

    def _repr_html_(self) -> str:
        table = self.frame()
        more = f"; the first {SHOWN} people" if len(table) > SHOWN else ""
        return f"<p>{repr(self)[1:-1]}{more}</p>{table.head(SHOWN).round(3).to_html()}"
