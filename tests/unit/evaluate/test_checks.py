"""Coded checks find what was broken on purpose, and list what passed and what does not apply.

The criteria of Riley against the numbers of pmsampsize.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import exp, log
from typing import TYPE_CHECKING, Any

import pytest

from mgrisk.config.toml import rows
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.checks import CHECKS, RunEvidence, check_run, cox_snell, people_needed, stop_at_errors
from mgrisk.evaluate.records import (
    OPEN,
    AddedValue,
    BreakRecord,
    CalibratorRecord,
    ModelRecord,
    OwnRecord,
    PartRecord,
    Records,
)

if TYPE_CHECKING:
    import pandas as pd

Change = Callable[[RunEvidence], RunEvidence]
HELD_OUT = "2017-2018"
SLEEP = BreakRecord("sleep-2015", ("sleep_hours",), "2013-2014", "2015-2016", "half hours", "none", "CDC/NCHS")
IDENTITY = CalibratorRecord(0.0, 1.0, ((0.0, 0.0), (0.0, 0.0)), 30)
AT_THE_EDGE = ModelRecord(0.16, (0.16,), None, IDENTITY, (PartRecord("m", 1.0, {"c": 1.0}),))


def failures(run: RunEvidence) -> list[str]:
    return [finding.id for finding in check_run(run) if finding.passed is False]


def frame(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Change:
    return lambda run: replace(run, **{name: change(getattr(run, name))})


def first(name: str, **values: Any) -> Change:
    """Change the first record of a file."""

    def changed(run: RunEvidence) -> RunEvidence:
        records = getattr(run, name)
        one, *others = records
        return replace(run, **{name: Records((replace(one, **values), *others), records.file)})

    return changed


def record(metric: str, set_name: str = HELD_OUT, level: str = "all", **values: Any) -> Change:
    """Change a record of the run's own evaluation."""

    def changed(run: RunEvidence) -> RunEvidence:
        chosen = run.evaluation.where(metric=metric, set=set_name, level=level).rows
        assert chosen
        rows_ = tuple(replace(each, **values) if each in chosen else each for each in run.evaluation)
        return replace(run, evaluation=Records(rows_, run.evaluation.file))

    return changed


def part(name: str, field: str, **values: Any) -> Change:
    """Change the first record, or the only one, of a part of a file."""

    def changed(run: RunEvidence) -> RunEvidence:
        whole = getattr(run, name)
        found = getattr(whole, field)
        new = (replace(found[0], **values), *found[1:]) if isinstance(found, tuple) else replace(found, **values)
        return replace(run, **{name: replace(whole, **{field: new})})

    return changed


def test_a_sound_run_passes_and_every_check_is_listed(sound_run: RunEvidence) -> None:
    findings = check_run(sound_run)
    assert [finding.id for finding in findings] == [
        row["id"] for row in rows("mgrisk.evaluate", "checks.toml", "check")
    ]
    assert [finding.id for finding in findings if finding.passed is not True] == []
    assert {finding.status for finding in findings} == {"passed"}
    assert {"id", "title", "severity", "finding", "passed", "status"} <= findings[0].to_dict().keys()


def test_every_row_has_its_function_and_every_function_its_row() -> None:
    assert list(CHECKS) == list(dict.fromkeys(CHECKS))
    assert CHECKS.keys() == {row["id"] for row in rows("mgrisk.evaluate", "checks.toml", "check")}


BROKEN: list[tuple[str, Change]] = [
    ("MGR001", frame("cohort", lambda c: c.assign(SEQN=[1, 1, 3, 4]))),
    ("MGR002", frame("cohort", lambda c: c.assign(weight=[0.0, 1, 1, 1]))),
    ("MGR003", first("known_answers", passed=False)),
    ("MGR004", first("table_one", missing=0.6)),
    ("MGR005", first("table_one", missing=0.2)),
    ("MGR006", lambda run: replace(run, about=replace(run.about, breaks=(SLEEP,)))),
    ("MGR101", frame("folds", lambda f: f.assign(fold=[0, 1, 1]))),
    ("MGR102", frame("oof", lambda o: o.assign(SEQN=[1, 2, 4]))),
    ("MGR103", frame("cohort", lambda c: c.assign(cycle=["2015-2016", "2015-2016", "2017-2018", "2017-2018"]))),
    ("MGR104", frame("oof", lambda o: o.assign(outcome=[1, 1, 0]))),
    ("MGR201", record("auroc", estimate=0.91, high=0.95)),
    ("MGR202", part("leaks", "alone", auroc=0.81)),
    ("MGR203", part("leaks", "alone", likelihood_ratio=10.5)),
    ("MGR204", part("leaks", "permuted", finding=True, low=0.53)),
    ("MGR205", part("leaks", "timing", finding=True)),
    ("MGR206", part("added_value", "records", estimate=0.011)),
    ("MGR301", record("calibration_slope", low=0.9, high=0.99)),
    ("MGR302", part("calibrators", "differences", high=-0.0001)),
    ("MGR303", record("observed_expected", low=1.01)),
    ("MGR304", record("ici", estimate=0.021)),
    ("MGR401", lambda run: replace(run, additivity_error=1e-3)),
    ("MGR501", lambda run: replace(run, columns=2000)),
    ("MGR502", lambda run: replace(run, tuning=replace(run.tuning, models={"m": AT_THE_EDGE}))),
    ("MGR503", record("brier_scaled", low=-0.01)),
    ("MGR504", record("auroc", estimate=0.7, low=0.65, high=0.75)),
    ("MGR505", first("differences", low=-0.001)),
    ("MGR601", record("observed_expected", level="female", estimate=1.4, low=1.1)),
    ("MGR601", record("observed_expected", level="30 to below 35", estimate=0.69, low=0.52, high=0.91)),
    ("MGR602", record("auroc", level="female", high=0.7)),
    ("MGR603", record("prevalence", level="female", presentation="suppress:width")),
]


@pytest.mark.parametrize(("expected", "change"), BROKEN)
def test_what_was_broken_is_found(expected: str, change: Change, sound_run: RunEvidence) -> None:
    assert expected in failures(change(sound_run))


WIDE: list[tuple[str, Change]] = [
    ("MGR301", record("calibration_slope", low=0.7)),
    ("MGR303", record("observed_expected", high=1.3)),
    ("MGR303", record("observed_expected", estimate=None, low=None, high=None)),
    ("MGR304", record("ici", high=0.03)),
    ("MGR601", record("observed_expected", level="female", estimate=0.34, low=0.07, high=1.64)),
    ("MGR601", record("observed_expected", level="30 to below 35", high=2.0)),
]


@pytest.mark.parametrize(("name", "change"), WIDE)
def test_an_interval_that_is_too_wide_to_say_is_no_finding_and_has_not_passed(
    name: str, change: Change, sound_run: RunEvidence
) -> None:
    found = {finding.id: finding for finding in check_run(change(sound_run))}[name]
    assert (found.passed, found.status) == (None, OPEN)


def test_a_group_shown_wrong_is_named_beside_how_many_cannot_be_told(sound_run: RunEvidence) -> None:
    wrong = record("observed_expected", level="30 to below 35", estimate=0.69, low=0.52, high=0.91)
    wide = record("observed_expected", level="female", estimate=0.34, low=0.07, high=1.64)
    found = {finding.id: finding for finding in check_run(wide(wrong(sound_run)))}["MGR601"]
    assert found.status == "finding"
    assert "bmi 30 to below 35 0.69 (0.52 to 0.91)" in found.finding
    assert "inconclusive in 1 of 2 groups; widest: sex female 0.34 (0.07 to 1.64)" in found.finding


def test_a_group_off_by_little_is_no_finding_however_sure(sound_run: RunEvidence) -> None:
    change = record("observed_expected", level="female", estimate=0.9, low=0.85, high=0.95)
    assert "MGR601" not in failures(change(sound_run))


def test_the_auroc_without_prediabetes_is_no_group_of_people(sound_run: RunEvidence) -> None:
    one = sound_run.evaluation.where(metric="auroc", level="female").rows[0]
    extra = replace(one, group="controls", level="without prediabetes", high=0.5, presentation="suppress:width")
    run = replace(sound_run, evaluation=Records((*sound_run.evaluation, extra), "evaluation.json"))
    assert failures(run) == []


def test_what_cannot_be_asked_does_not_apply_and_says_why(sound_run: RunEvidence) -> None:
    run = replace(
        first("known_answers", passed=None)(sound_run),
        added_value=AddedValue("m", 0.01, "the model has no feature of magnesium", ()),
        evaluation=sound_run.evaluation.where(group="all"),
    )
    asked = {finding.id: finding for finding in check_run(run)}
    for name in ("MGR003", "MGR206", "MGR601", "MGR602"):
        assert (asked[name].passed, asked[name].status) == (None, "not applicable")
        assert asked[name].finding


@pytest.mark.parametrize(
    ("split", "periods", "finding"),
    [
        ("25 % of the people, drawn at random", ("development", "held-out"), "25 % of the people, drawn at random"),
        ("", ("second", "after"), "the periods are not dates: their order is taken from the file"),
    ],
)
def test_whether_the_held_out_people_are_later_is_not_asked_where_nothing_is_dated(
    split: str, periods: tuple[str, str], finding: str, sound_run: RunEvidence
) -> None:
    own = OwnRecord("Elsewhere", "people.csv", "no weights", "case", 0, {}, None, split)
    cycle = sound_run.cohort["set"].astype(str).map(dict(zip(("development", "held-out"), periods, strict=True)))
    run = replace(sound_run, cohort=sound_run.cohort.assign(cycle=cycle), about=replace(sound_run.about, own=own))
    (asked,) = [each for each in check_run(run) if each.id == "MGR103"]
    assert (asked.passed, asked.finding) == (None, finding)


def test_only_an_error_that_did_not_pass_stops_the_run(sound_run: RunEvidence) -> None:
    warned = record("calibration_slope", low=0.8, high=0.9)(sound_run)
    assert failures(warned) == ["MGR301"]
    stop_at_errors(check_run(warned))
    with pytest.raises(MgRiskError, match="MGR202") as caught:
        stop_at_errors(check_run(part("leaks", "alone", auroc=0.81)(warned)))
    assert caught.value.code == "checks.failed"


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


def test_every_check_is_seen_to_find_something() -> None:
    assert {check for check, _ in BROKEN} == CHECKS.keys()
