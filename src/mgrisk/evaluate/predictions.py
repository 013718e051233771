"""Predictions of models and published scores for the same people, with their outcomes and survey design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mgrisk.survey.design import SurveyDesign
from mgrisk.types import Floats


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions to evaluate, with outcome and design in the same rows.

    Attributes
    ----------
    y
        Outcome, shape (n,); any value outside the domain of the design.
    risks
        Probabilities by the name of the model or score, shape (n,) each.
    points
        Published point scores by name, shape (n,) each, which are not probabilities.
    design
        The full design of the set, with the analysis population as its domain.

    Examples
    --------
    >>> import numpy as np
    >>> from mgrisk.survey.design import WeightLevel
    >>> design = SurveyDesign(np.ones(2), np.zeros(2), np.arange(2), WeightLevel.EXAM)
    >>> ours = {"model": np.array([0.1, 0.9])}
    >>> sorted(Predictions(np.array([0.0, 1.0]), ours, {"ada": np.array([2.0, 6.0])}, design).scores)
    ['ada', 'model']
    """

    y: Floats
    risks: Mapping[str, Floats]
    points: Mapping[str, Floats]
    design: SurveyDesign

    @property
    def scores(self) -> dict[str, Floats]:
        """Probabilities, then points, by name."""
        return {**self.risks, **self.points}
