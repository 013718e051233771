"""The criteria of Riley against the numbers of pmsampsize."""

from __future__ import annotations

from math import exp, log

import pytest

from mgrisk.evaluate.sample_size import cox_snell, people_needed


@pytest.mark.parametrize(("parameters", "expected"), [(20, 3521), (40, 7042), (60, 10563)])
def test_undiagnosed_diabetes_needs_what_pmsampsize_says(parameters: int, expected: int) -> None:
    # pmsampsize(type = "b", csrsquared = 0.0497, parameters = 20, prevalence = 0.0526), the source read and computed.
    assert people_needed(parameters, prevalence=0.0526, r_squared=0.0497) == expected


def test_few_parameters_still_need_a_known_prevalence() -> None:
    assert people_needed(1, prevalence=0.5, r_squared=0.3) == 385  # ceil(1.96² × 0.25 / 0.05²)


def test_r_squared_is_that_of_the_likelihood_ratio() -> None:
    loss, share, n = 0.5, 0.3, 100
    null = n * (share * log(share) + (1 - share) * log(1 - share))
    assert cox_snell(log_loss=loss, prevalence=share) == pytest.approx(1 - exp(2 * (null + n * loss) / n))
    assert cox_snell(log_loss=-null / n, prevalence=share) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.0])
def test_a_model_that_explains_nothing_has_no_sample_size(wrong: float) -> None:
    with pytest.raises(ValueError, match="not between"):
        people_needed(10, prevalence=0.1, r_squared=wrong)
