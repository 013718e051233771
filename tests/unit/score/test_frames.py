"""People in polars, Arrow and other tables are scored and explained as in pandas; other objects are refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.score.frames import as_frame
from mgrisk.score.scorer import MOST_REASONS, Scorer, load_scorer

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle


class Capsule:
    """A table of a library that speaks Arrow and that we do not know."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


class Interchange:
    """A table that has the dataframe interchange protocol alone."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> object:
        return self.table.__dataframe__(nan_as_null, allow_copy)


def polars(table: pa.Table) -> object:
    return pytest.importorskip("polars").from_arrow(table)


@pytest.fixture(scope="module")
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(toy_bundles["spline_logistic"])


@pytest.fixture(scope="module")
def people(toy_people: ToyPeople) -> pd.DataFrame:
    frame = toy_people.frame[:40].reset_index(drop=True)
    return frame.assign(person_id=[2**53 + place for place in range(40)], told=[True, None] * 20)


@pytest.mark.parametrize("of", [lambda table: table, Capsule, Interchange, polars, lambda t: t.to_batches()[0]])
def test_a_table_of_another_library_is_scored_and_explained_as_in_pandas(
    of: Any, scorer: Scorer, people: pd.DataFrame
) -> None:
    table = of(pa.Table.from_pandas(people.drop(columns="told"), preserve_index=False))
    scored = scorer.score(table)
    wanted = scorer.score(people)
    assert scored["person_id"].tolist() == people["person_id"].tolist()
    for name in scorer.columns(reasons=3):
        assert scored[name].tolist() == pytest.approx(wanted[name].tolist(), nan_ok=True), name
    np.testing.assert_array_equal(scorer.explain(table).values, scorer.explain(people).values)
    pd.testing.assert_frame_equal(scorer.uncertainty(table), scorer.uncertainty(people))


def test_whole_numbers_beside_missing_ones_keep_their_digits() -> None:
    ids = [2**53 + 1, None, 2**63 - 1]
    frame = as_frame(pa.table({"person_id": ids, "told": [True, None, False]}))
    assert [None if cell is pd.NA else cell for cell in frame["person_id"]] == ids
    assert str(frame["told"].dtype) == "boolean"


def test_categories_of_arrow_are_levels(scorer: Scorer) -> None:
    sex = pa.array(["male", "female"]).dictionary_encode()
    assert scorer.score(pa.table({"age_years": [50, 60], "sex": sex}))["status"].tolist() == ["scored", "scored"]


def test_a_pandas_frame_is_taken_as_it_is() -> None:
    frame = pd.DataFrame({"age_years": [50]}, index=["a"])
    assert as_frame(frame) is frame


@pytest.mark.parametrize(
    "given",
    [None, 5, "people.csv", [{"age_years": 50}], {"age_years": [50]}, np.ones((2, 2)), pd.Series([1]), pa.array([1])],
)
@pytest.mark.parametrize("asked", ["score", "explain", "uncertainty"])
def test_what_is_no_table_is_refused_by_its_kind(given: object, asked: str, scorer: Scorer) -> None:
    with pytest.raises(MgRiskError) as caught:
        getattr(scorer, asked)(given)
    assert caught.value.code == "input.not_a_frame"
    assert type(given).__name__ in caught.value.message


def test_a_lazy_polars_frame_is_refused_with_what_to_do(scorer: Scorer) -> None:
    lazy = pytest.importorskip("polars").DataFrame({"age_years": [50], "sex": ["male"]}).lazy()
    with pytest.raises(MgRiskError, match="LazyFrame") as caught:
        scorer.score(lazy)
    assert "collect" in caught.value.hint


def test_columns_that_look_like_inputs_are_warned_of_once(toy_bundles: dict[str, Bundle]) -> None:
    scorer = Scorer(toy_bundles["spline_logistic"])
    people = pd.DataFrame({"age_years": [50], "sex": ["male"], "weight": [80], "visit": [1]})
    with pytest.warns(UserWarning, match=r"columns not used: weight \(weight_kg\?\)$"):
        scorer.score(people)
    scorer.score(people)


def test_columns_whose_names_are_no_texts_pass_through(scorer: Scorer) -> None:
    people = pd.DataFrame({"age_years": [50], "sex": ["male"], 7: ["x"]})
    assert scorer.score(people)[7].tolist() == ["x"]
    with pytest.raises(MgRiskError, match="the required column sex is missing"):
        scorer.score(people.drop(columns="sex"))


@pytest.mark.parametrize("reasons", [-1, MOST_REASONS + 1, 10**12])
def test_the_number_of_reasons_is_bounded(reasons: int, scorer: Scorer) -> None:
    with pytest.raises(MgRiskError) as caught:
        scorer.score(pd.DataFrame({"age_years": [50], "sex": ["male"]}), reasons=reasons)
    assert (caught.value.code, caught.value.status) == ("score.reasons", 2)


@pytest.mark.parametrize("learner", ["spline_logistic", "xgboost"])
def test_a_bundle_read_from_its_folder_and_its_scorer_survive_pickling(
    learner: str, toy_bundles: dict[str, Bundle], people: pd.DataFrame, tmp_path: Path
) -> None:
    toy_bundles[learner].write(tmp_path / "bundle")
    scorer = load_scorer(tmp_path / "bundle")
    # Before and after the first use, which keeps what it worked out.
    again = pickle.loads(pickle.dumps(scorer))
    wanted = scorer.score(people)
    for one in (again, pickle.loads(pickle.dumps(scorer)), Scorer(pickle.loads(pickle.dumps(scorer.bundle)))):
        pd.testing.assert_frame_equal(one.score(people), wanted)
        assert one.fingerprint == scorer.fingerprint


def test_a_dict_is_one_person(scorer: Scorer) -> None:
    person = {"age_years": 50, "sex": "male", "bmi_kg_m2": 28.5}
    pd.testing.assert_frame_equal(scorer.score(person), scorer.score(pd.DataFrame([person])))
    assert np.array_equal(scorer.predict_proba(person), scorer.predict_proba(pd.DataFrame([person])))
    assert scorer.score({"age_years": 50, "sex": None})["problems"].tolist() == ["missing:sex"]
