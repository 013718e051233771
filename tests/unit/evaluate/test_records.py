from __future__ import annotations

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.records import Interval, MetricRecord, Records


def metric(model: str, group: str = "all", level: str = "all") -> MetricRecord:
    return MetricRecord(
        "undiagnosed", "2017-2018", group, level, model, "auroc", 0.8, 0.7, 0.9, 0.05, 100, 10, "", "present", "NHANES"
    )


RECORDS = Records((metric("a"), metric("b"), metric("a", "sex", "female")), "evaluation.json")


def test_one_record_is_that_of_all_people_unless_a_group_is_asked_for() -> None:
    assert RECORDS.one(model="a") is RECORDS.rows[0]
    assert RECORDS.one(model="a", group="sex", level="female") is RECORDS.rows[2]


@pytest.mark.parametrize(
    ("wanted", "said"), [({"model": "c"}, "no record of group all, model c"), ({"metric": "auroc"}, "2 record")]
)
def test_none_and_more_than_one_are_refused_by_name(wanted: dict[str, str], said: str) -> None:
    with pytest.raises(MgRiskError, match=f"evaluation.json has {said}") as caught:
        RECORDS.one(**wanted)
    assert caught.value.code == "report.no_record"


def test_a_part_of_the_records_keeps_their_order_and_file() -> None:
    part = RECORDS.where(model="a")
    assert (part.rows, part.file, len(part)) == ((RECORDS.rows[0], RECORDS.rows[2]), "evaluation.json", 2)
    assert RECORDS.frame()["model"].tolist() == ["a", "b", "a"]


def test_an_interval_holds_or_excludes_a_value_and_without_bounds_does_neither() -> None:
    known, unknown = Interval(0.9, 0.8, 1.0), Interval(0.9, None, None, "interval.undefined")
    assert (known.holds(1.0), known.excludes(1.0), known.excludes(1.1)) == (True, False, True)
    assert not unknown.holds(0.9)
    assert not unknown.excludes(0.0)


def test_another_unit_keeps_the_order_of_the_bounds_and_the_reason() -> None:
    assert Interval(2.0, 1.0, 4.0).times(1000) == Interval(2000.0, 1000.0, 4000.0)
    assert Interval(2.0, 1.0, 4.0).times(-1) == Interval(-2.0, -4.0, -1.0)
    assert Interval(None, None, None, "metric.undefined").times(2) == Interval(None, None, None, "metric.undefined")
