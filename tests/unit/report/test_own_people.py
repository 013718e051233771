from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.explain.attributions import Explanation
from mgrisk.explain.summary import summarise
from mgrisk.features.compute import typed
from mgrisk.features.registry import features
from mgrisk.report.blocks import blocks_of, find_section, find_table
from mgrisk.report.explained import ExplainedPeople
from mgrisk.report.formats import percent
from mgrisk.report.own_people import OwnPeople, own_content
from mgrisk.run_folder.records import Importance
from mgrisk.survey.design import SinglePsu, SurveyDesign, WeightLevel

FEATURES = features(["age_years", "sex", "magnesium_total_mg"])
QUANTILES = {"0.0005": 20.0, "0.05": 22.0, "0.5": 45.0, "0.95": 78.0, "0.9995": 80.0}


@pytest.fixture
def own() -> OwnPeople:
    n = 40
    random = np.random.default_rng(8)
    data = typed(
        pd.DataFrame(
            {
                "age_years": np.where(np.arange(n) < 2, 15.0, 50.0),
                "sex": np.where(np.arange(n) < 30, "female", "male"),
                "magnesium_total_mg": np.where(np.arange(n) < 10, np.nan, 300.0),
            }
        ),
        FEATURES,
    )
    contributions = random.normal(size=(n, 3))
    base = np.where(np.arange(n) < 10, -1.5, -2.0)  # by what is absent of each
    risk = 1 / (1 + np.exp(-base - contributions.sum(axis=1)))
    design = SurveyDesign(
        np.ones(n), np.zeros(n, dtype=np.int64), np.arange(n), WeightLevel.INTERVIEW, single_psu=SinglePsu.CERTAINTY
    )
    people = ExplainedPeople(
        features=FEATURES, contributions=contributions, data=data, weight=np.ones(n), risk=risk,
        base_values=base,
        low=risk / 2, high=risk * 1.5, low_inputs=risk / 3, high_inputs=risk * 1.2, in_domain=np.arange(n) >= 2,
        ids=[f"P{place}" for place in range(n)], case=None, firmness=None,
        recall_share=np.full(n, np.nan), design=design, inside=np.arange(n),
    )  # fmt: skip
    return OwnPeople(
        source="people.csv", rows=44, not_eligible=3, not_told=["not for people pregnant"],
        problems={"out_of_range:age_years": 1}, id_label="person_id",
        explained=people,
        drift=[
            {"name": "age_years", "psi": 0.6, "psi_by_chance": 0.05, "large": True},
            {"name": "risk", "psi": 0.02, "psi_by_chance": 0.05, "large": False},
        ],
        absent=[], auroc=None,
        worth_measuring=[{"name": "age_years", "absent": 0.25, "removes": 0.61}],
        importance=[
            Importance(**each) for each in summarise(Explanation(contributions, base, FEATURES, data), design)
        ],
        about={
            "name": "toy", "synthetic": False, "mgrisk": "0.1.0", "cycles": ["2015-2016"],
            "holds_for": "NHANES 2015-2016", "people": 400,
            "prevalence": 0.04, "outcome": {"label": "Diabetes", "definition": "HbA1c", "warning": "One visit."},
        },
        reference={
            "age_years": {"missing": 0.0, "quantiles": QUANTILES},
            "sex": {"missing": 0.0, "shares": {"female": 1.0, "male": 0.0}},
            "magnesium_total_mg": {"missing": 0.1, "quantiles": {**QUANTILES, "0.5": 300.0, "0.9995": 900.0}},
        },
    )  # fmt: skip


def domain_rows(own: OwnPeople) -> dict[str, dict[str, Any]]:
    found = find_table(find_section(own_content(own), "domain"), "domain-table")
    assert found is not None
    return {line["raw"]["feature"]: line for line in found["rows"]}


def test_the_first_question_is_whether_they_are_like_the_development_people(own: OwnPeople) -> None:
    content = own_content(own)
    assert [part["id"] for part in content["sections"]] == ["summary", "domain", "drivers", "people", "limits"]
    card = content["sections"][0]["blocks"][1]["items"][1]
    assert (card["value"], card["range"], card["tone"]) == ("2 are not", "5.0\u00a0%", "warning")


def test_limits_name_the_people_that_the_model_was_made_on(own: OwnPeople) -> None:
    said = str(find_section(own_content(own), "limits")["blocks"])
    assert "like those it was developed on: NHANES 2015-2016. For other people" in said
    assert re.search(r"\{[a-z_]+\}", str(own_content(own))) is None, "a placeholder was left"


def test_who_is_not_eligible_is_counted_apart_and_who_no_column_tells_is_said(own: OwnPeople) -> None:
    (lead,) = [block for block in own_content(own)["sections"][0]["blocks"] if block.get("style") == "lead"]
    told = lead["items"][1]["detail"]
    assert told.startswith("40 scored, 1 rejected, 3 not eligible. Not for people pregnant. Model toy")


def test_each_feature_stands_beside_the_development_people_with_what_is_outside_and_missing(own: OwnPeople) -> None:
    rows = domain_rows(own)
    assert rows["age_years"]["raw"]["outside"] == pytest.approx(2 / 40)
    assert rows["sex"]["raw"]["outside"] == pytest.approx(10 / 40)  # a level that the development people did not have
    assert rows["sex"]["cells"][2] == "female 75\u00a0%"
    assert rows["magnesium_total_mg"]["raw"]["missing"] == pytest.approx(10 / 40)
    assert rows["magnesium_total_mg"]["cells"][5:7] == ["10 (25.0\u00a0%)", "10.0\u00a0%"]
    assert rows["age_years"]["cells"][5] == "0 (0.0\u00a0%)"
    assert rows["magnesium_total_mg"]["cells"][2:4] == ["300 (300 to 300)", "300 (22 to 78)"]
    (warning,) = [b["text"] for b in find_section(own_content(own), "domain")["blocks"] if b["kind"] == "callout"]
    assert "Age: 5.0\u00a0% outside" in warning
    assert "Age: PSI 0.60 against the development people." in warning
    assert "Risk: spread" not in warning
    assert (rows["age_years"]["cells"][7], rows["sex"]["cells"][7]) == ("0.60 (0.05)", "–")
    assert "Magnesium, total (25.0\u00a0% here, 10.0\u00a0% there)" in warning


def test_one_s_own_people_are_shown_as_given(own: OwnPeople) -> None:
    (block,) = blocks_of(own_content(own), "explorer")
    assert block["data"]["values"][0][:3] == [15, 15, 50]
    assert block["data"]["weight"] is None
    assert block["data"]["ids"] == [f"P{place}" for place in range(40)]


def test_the_base_of_each_person_and_his_contributions_give_the_reported_risk_back(own: OwnPeople) -> None:
    (block,) = blocks_of(own_content(own), "explorer")
    data = block["data"]
    assert set(data["base"]) == {-1.5, -2.0}
    log_odds = data["base"] + np.array(data["contributions"]).sum(axis=0) / data["scale"]
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), own.explained.risk, atol=1e-4)


def test_what_was_wrong_in_the_file_is_counted_by_code(own: OwnPeople) -> None:
    found = find_table(find_section(own_content(own), "domain"), "problems")
    assert found is not None
    assert [line["cells"] for line in found["rows"]] == [["out_of_range:age_years", "1"]]
    assert find_table(find_section(own_content(replace(own, problems={})), "domain"), "problems") is None


def test_what_absent_inputs_leave_unknown_is_told_where_the_model_can_tell(own: OwnPeople) -> None:
    def cards(own: OwnPeople) -> str:
        return json.dumps(find_section(own_content(own), "summary"), ensure_ascii=False)

    label = own.explained.features[0].label
    assert f"{label}, absent for {percent(0.25)}" in cards(own)
    assert "Which inputs are absent" not in cards(replace(own, worth_measuring=[]))


def test_the_first_card_names_the_absent_inputs_and_what_they_cost(own: OwnPeople) -> None:
    lacking = replace(own, absent=["magnesium_total_mg"], auroc=(0.83, 0.79))
    card = find_section(own_content(lacking), "summary")["blocks"][1]["items"][0]
    assert card["value"] == "1 of 3 inputs"
    assert card["items"] == ["Magnesium, total"]
    assert [line["value"] for line in card["lines"][:2]] == ["0.830", "0.790"]
    assert card["tone"] == "warning"
    untold = find_section(own_content(replace(lacking, auroc=None)), "summary")["blocks"][1]["items"][0]
    assert not any("AUROC" in line["term"] for line in untold["lines"])


def test_nobody_outside_is_said_without_alarm(own: OwnPeople) -> None:
    content = own_content(replace(own, explained=replace(own.explained, in_domain=np.ones(40, dtype=bool))))
    card = content["sections"][0]["blocks"][1]["items"][1]
    assert (card["value"], card["tone"]) == ("all within its training distribution", "")
