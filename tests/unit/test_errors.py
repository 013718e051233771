"""The fields of an error, and its transfer between processes."""

from __future__ import annotations

import pickle

import pytest

from mgrisk.errors import ExitStatus, MgRiskError, bad_bundle, bad_input, bad_source, usage


def test_a_person_sees_what_where_and_what_to_do_each_on_one_line() -> None:
    error = bad_input(
        "score.bad_unit", "weight is in pounds", where="column weight_kg", hint="divide by 2.2", expected="kg", got="lb"
    )
    assert error.lines() == (
        "error: weight is in pounds, expected kg, got lb [score.bad_unit]",
        "where: column weight_kg",
        "to do: divide by 2.2",
    )
    assert error.what() == "weight is in pounds, expected kg, got lb"


def test_in_python_an_error_keeps_where_and_what_to_do() -> None:
    error = bad_input("score.bad_unit", "weight is in pounds", where="column weight_kg", hint="divide by 2.2")
    assert str(error) == "weight is in pounds [score.bad_unit]\nwhere: column weight_kg\nto do: divide by 2.2"


@pytest.mark.parametrize(
    ("make", "status"),
    [(usage, 2), (bad_input, 3), (bad_source, 4), (bad_bundle, 5)],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_the_kind_of_an_error_decides_the_exit_status_of_the_interface(make: object, status: int) -> None:
    error = make("a.b", "wrong", where="here", hint="mend it")  # type: ignore[operator]
    assert error.status == ExitStatus(status)


def test_a_detail_that_no_error_has_is_a_mistake_of_ours_and_not_lost() -> None:
    with pytest.raises(TypeError, match="expcted"):
        usage("a.b", "wrong", where="here", hint="mend it", expcted="1")


def test_an_error_keeps_everything_on_its_way_from_a_worker_process() -> None:
    error = bad_source("xpt.truncated", "cut short", where="DEMO_J.xpt", hint="fetch again", expected="80", got="7")
    back = pickle.loads(pickle.dumps(error))
    assert isinstance(back, MgRiskError)
    assert back.__dict__ == error.__dict__
    assert back.lines() == error.lines()
    assert back.args == error.args
