"""The replication of published estimates passes on the real tables, and fails on changed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mgrisk.errors import MgRiskError
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.harmonise import Harmonised, harmonise
from mgrisk.nhanes.store import Store
from mgrisk.pipeline.known import check, known_answers, stop_at_misses, variables

pytestmark = pytest.mark.nhanes
CYCLES = ("2011-2012", "2013-2014", "2015-2016", "2017-2018")


@pytest.fixture(scope="module")
def store(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(source=str(mirror), cache=tmp_path_factory.mktemp("cache"), offline=True)


@pytest.fixture(scope="module")
def tables(store: Store) -> Harmonised:
    return harmonise(store, cycles=[cycle(years) for years in CYCLES], names=variables(CYCLES))


def test_published_figures_are_reproduced(store: Store) -> None:
    records = known_answers(replace(store, food_patterns=None), cycles=("2007-2008", "2009-2010", *CYCLES))
    stop_at_misses(records)
    passed = {record["name"] for record in records if record["passed"]}
    assert len(passed) >= 25
    others = {record["name"] for record in records if record["passed"] is None}
    assert {name for name in others if not name.startswith("healthy-eating-index")} == {"obesity-2021-2023"}


def test_published_scores_of_diets_are_reproduced_from_the_food_patterns(store: Store) -> None:
    if store.food_patterns is None:
        pytest.skip("MGRISK_FOOD_PATTERNS does not name the folder of USDA's food patterns")
    years = ["2005-2006", "2007-2008", "2009-2010", "2011-2012", "2013-2014"]
    records = known_answers(store, cycles=years)
    assert sum(bool(r["passed"]) for r in records if r["name"].startswith("healthy-eating-index")) == len(years)


def test_the_latest_cycle_has_its_own(store: Store) -> None:
    passed = [record["name"] for record in known_answers(store, cycles=["2021-2023"]) if record["passed"]]
    assert passed == ["obesity-2021-2023"]


@pytest.mark.parametrize(
    ("fault", "noticed_by"),
    [
        (lambda frame: frame.assign(WTMEC2YR=1.0), "obesity-2017-2018"),
        (lambda frame: frame.assign(WTSAF2YR=1.0), "undiagnosed-2013-2016"),
        (lambda frame: frame.assign(WTDRD1=(frame["WTDRD1"] > 0) * 1.0), "energy-2013-2014-men-20-29"),
        (lambda frame: frame.assign(DIQ010=frame["DIQ010"].replace(3.0, 1.0)), "diagnosed-2013-2016"),
        (lambda frame: frame.assign(RIDEXPRG=float("nan")), "obesity-2017-2018"),
        (lambda frame: frame.assign(BMXBMI=frame["BMXBMI"].round(0)), "obesity-2011-2014"),
        (lambda frame: frame.assign(LBXGH=frame["LBXGH"].round(0)), "undiagnosed-2011-2018"),
        (lambda frame: frame[frame["SEQN"] % 50 != 0], "energy-2013-2014-men-60-69"),
    ],
    ids=["exam weight", "fasting weight", "recall weight", "borderline", "pregnancy", "BMI", "HbA1c", "rows gone"],
)
def test_a_fault_in_the_tables_is_noticed(
    fault: Callable[[pd.DataFrame], pd.DataFrame], noticed_by: str, tables: Harmonised
) -> None:
    records = check(replace(tables, frame=fault(tables.frame)), cycles=CYCLES)
    missed = {record["name"] for record in records if record["passed"] is False}
    assert noticed_by in missed
    with pytest.raises(MgRiskError, match=noticed_by):
        stop_at_misses(records)
