"""A scorer says where the uncertainty of each person's risk comes from, and nothing of people it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgrisk.model.bundle import Bundle
from mgrisk.score.scorer import Scorer


def test_the_standard_error_is_that_of_the_scored_interval_and_rejected_people_have_none(
    toy_bundles: dict[str, Bundle],
) -> None:
    scorer = Scorer(toy_bundles["spline_logistic"])
    people = pd.DataFrame({"age_years": [50, 430, 61], "sex": ["male", "male", "female"]}, index=["a", "b", "c"])
    found = scorer.uncertainty(people)
    assert list(found.index) == ["a", "b", "c"]
    assert found.loc["b"].isna().all()
    assert found["recall_share"].isna().all()  # the model reads no usual intake
    scored = scorer.score(people, reasons=0).loc[["a", "c"]]
    logit = {name: np.log(scored[name] / (1 - scored[name])) for name in ("risk", "risk_high")}
    reach = (logit["risk_high"] - logit["risk"]) / found.loc[["a", "c"], "se_log_odds"]
    assert np.ptp(reach) < 1e-9
    assert 1.6 < reach.iloc[0] < 2.2  # t for 90 %
