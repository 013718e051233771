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
from mgrisk.report.figures import draw
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
        source="people.csv", rows=44, not_eligible=3, outside=2, not_told=["not for people pregnant"],
        problems={"out_of_range:age_years": 1}, id_label="person_id",
        explained=people,
        risk=risk,
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


def test_the_first_question_is_whether_they_are_in_the_training_distribution(own: OwnPeople) -> None:
    content = own_content(own)
    assert [part["id"] for part in content["sections"]] == [
        "summary", "domain", "drivers", "dependence", "risks-section", "people", "limits",
    ]  # fmt: skip
    card = content["sections"][0]["blocks"][1]["items"][1]
    assert (card["value"], card["range"], card["tone"]) == ("2 out of it", "5.0\u00a0%", "warning")


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
    assert "Age: 5.0\u00a0% out of distribution." in warning
    assert "Age: large shift, PSI 0.60." in warning
    assert "Predicted risk" not in warning
    assert (rows["age_years"]["cells"][7], rows["sex"]["cells"][7]) == ("0.60 (0.05)", "–")
    assert "Magnesium, total (25.0\u00a0%, in development 10.0\u00a0%)" in warning


def test_a_shift_that_cannot_be_estimated_is_a_dash_and_no_twice_said_sentence(own: OwnPeople) -> None:
    unknown = {"name": "age_years", "psi": None, "psi_by_chance": None, "large": False}
    content = own_content(replace(own, drift=[unknown]))
    found = find_table(find_section(content, "domain"), "domain-table")
    assert found is not None
    assert [line["cells"][7] for line in found["rows"]] == ["–", "–", "–"]
    assert "not estimable (not estimable)" not in str(content)


def test_each_number_in_which_people_differ_has_a_dependence_plot_without_development_people(own: OwnPeople) -> None:
    part = find_section(own_content(own), "dependence")
    (drawn,) = blocks_of({"sections": [part]}, "figure")
    assert drawn["id"] == "dependence-age_years"
    assert (drawn["data"]["before"]["x"], drawn["data"]["density"]["before"]) == ([], [])
    assert drawn["data"]["whom"] == "people of this file"
    assert {len(line["cells"]) for line in drawn["table"]["rows"]} == {len(drawn["table"]["columns"])} == {5}
    # Of magnesium all have 300 mg or none.
    assert "No plot of Magnesium, total: no two people" in part["blocks"][-1]["text"]
    assert "dashed" not in part["blocks"][0]["text"]
    assert len(draw(drawn)) > 1000


def test_people_by_risk_add_up_to_everybody_and_to_the_expected_cases(own: OwnPeople) -> None:
    risk = np.array([0.0, 0.005, 0.01, 0.3, 1.0])
    (drawn,) = find_section(own_content(replace(own, risk=risk)), "risks-section")["blocks"]
    raw = {(line["raw"]["low"], line["raw"]["high"]): line["raw"] for line in drawn["table"]["rows"]}
    assert {ends: each["n"] for ends, each in raw.items() if each["n"]} == {
        (0.0, 0.01): 2, (0.01, 0.02): 1, (0.2, 0.5): 1, (0.5, 1.0): 1,
    }  # fmt: skip
    assert sum(each["expected"] for each in raw.values()) == pytest.approx(risk.sum())
    # Risks beyond the axis are counted in its first and last bar.
    assert (drawn["data"]["share"][0], drawn["data"]["share"][-1]) == (pytest.approx(0.2), pytest.approx(0.2))
    assert sum(drawn["data"]["share"]) == pytest.approx(1.0)
    assert len(draw(drawn)) > 1000


def test_where_some_are_explained_each_figure_says_of_how_many(own: OwnPeople) -> None:
    many = np.full(1000, 0.1)
    content = own_content(replace(own, risk=many, rows=1004))
    words = "40 of 1,000 people, drawn at random"
    titles = [block["title"] for block in blocks_of(content, "figure")]
    assert sum(words in title for title in titles) == 2
    assert {block["data"]["whom"] for block in blocks_of(content, "figure") if block["drawing"] == "dependence"} == {
        words
    }
    assert "1,000 scored, 1 rejected" in str(content["sections"][0])
    said = "Explained are 40 of 1,000 people, drawn at random."
    assert said in str(content["sections"][0])
    assert find_section(content, "people")["blocks"][0]["text"] == said
    (shown,) = blocks_of(content, "explorer")
    assert words in shown["caption"]
    assert "Distribution of the predicted risk, 1,000 people" in titles
    assert words not in str(own_content(own))


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
    content = own_content(replace(own, outside=0))
    card = content["sections"][0]["blocks"][1]["items"][1]
    assert (card["value"], card["tone"]) == ("All in it", "")
