from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mgrisk.errors import MgRiskError
from mgrisk.evaluate.records import Records
from mgrisk.evidence.regression import CALIBRATED
from mgrisk.report.blocks import find_table
from mgrisk.report.formats import interval, number, p_value
from mgrisk.report.sections.association import (
    association,
    curves,
    flow_of_participants,
    food_sources,
    interaction_table,
    mediation_blocks,
    robustness_blocks,
)
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import EvidenceRecord
from mgrisk.storage.files import read_json


@pytest.fixture(scope="module")
def evidence(finished_run: Path) -> Records[EvidenceRecord]:
    return RunFolder(finished_run).evidence


NOTHING: Records[EvidenceRecord] = Records((), "evidence.json")


def changed(records: Records[EvidenceRecord], which: dict[str, object], **change: Any) -> Records[EvidenceRecord]:
    chosen = records.where(**which).rows
    assert chosen
    return Records(tuple(replace(each, **change) if each in chosen else each for each in records), records.file)


def test_a_curve_has_its_test_and_says_where_people_are(evidence: Records[EvidenceRecord]) -> None:
    figure = curves(evidence)[0]
    points = [r for r in evidence.where(analysis="dose-response", outcome="undiagnosed") if " against " in r.contrast]
    bend = evidence.one(analysis="dose-response", outcome="undiagnosed", contrast="non-linearity")
    assert figure["data"]["x"] == [float(record.contrast.split(" ")[0]) for record in points]
    assert figure["data"]["estimate"] == [record.estimate for record in points]
    assert f"F = {number(bend.estimate, digits=2)}, {p_value(bend.p, named=True)}" in figure["caption"]
    assert (
        f"5 % eat less than {number(evidence.one(contrast='5 % eat less').estimate, digits=0)} mg" in figure["caption"]
    )
    assert len(figure["table"]["rows"]) == len(points)


def test_what_stays_after_correction_is_said_by_name(evidence: Records[EvidenceRecord]) -> None:
    tested = [record for record in evidence.where(analysis="interaction") if record.p_adjusted is not None]
    none = changed(evidence, {"analysis": "interaction"}, p_adjusted=None)
    first = {"analysis": "interaction", "outcome": tested[0].outcome, "contrast": tested[0].contrast}
    table, said = interaction_table(changed(none, first, p=0.01, p_adjusted=0.03))
    assert said["text"].startswith("Of 1 tests, 1 stay below 0.05 after Holm's correction for their number: ")
    assert said["text"].endswith(f", {tested[0].contrast}.")
    assert [line["cells"][4] for line in table["rows"]].count("0.030") == 1
    assert {line["cells"][4] for line in table["rows"]} == {"", "0.030"}
    assert said["text"] not in table["notes"]


def test_a_p_value_is_never_0(evidence: Records[EvidenceRecord]) -> None:
    table, _ = interaction_table(changed(evidence, {"analysis": "interaction"}, p=2e-9, p_adjusted=3e-8))
    assert {tuple(line["cells"][3:]) for line in table["rows"]} == {("< 0.001", "< 0.001")}


def test_parts_come_with_assumptions_and_with_what_cannot_be_told(evidence: Records[EvidenceRecord]) -> None:
    share = next(record.contrast for record in evidence.where(analysis="mediation", scale="share"))
    shares = {"estimate": 0.6, "low": 0.5, "high": 0.7}
    blocks = mediation_blocks(changed(evidence, {"analysis": "mediation", "contrast": share}, **shares))
    assert f"{share.removeprefix('share through ')} 60\u00a0% (50\u00a0% to 70\u00a0%)" in blocks[0]["text"]
    assert any("one visit" in item for item in blocks[1]["items"])
    assert "These data cannot tell" in blocks[2]["text"]
    assert any("secretion" in item for item in blocks[3]["items"])
    assert any("did not measure magnesium in blood" in item for item in blocks[3]["items"])


@pytest.mark.parametrize(
    ("together", "said"),
    [
        (1.34, "The sum is above 100 % because the part through none of them"),
        (0.6, "The rest is the part through none of them"),
        (-0.2, "The sum is below 0"),
    ],
)
def test_the_sum_of_the_shares_is_said_with_what_it_means(
    evidence: Records[EvidenceRecord], together: float, said: str
) -> None:
    of_all = {"analysis": "mediation", "contrast": "share through all of them"}
    text = mediation_blocks(changed(evidence, of_all, estimate=together, low=-1.0, high=2.0))[0]["text"]
    assert f"All paths together: {number(100 * together, digits=0)}\u00a0% (" in text
    assert said in text


def test_without_records_there_is_nothing_to_say() -> None:
    assert (
        curves(NOTHING)
        == flow_of_participants(NOTHING)
        == interaction_table(NOTHING)
        == mediation_blocks(NOTHING)
        == robustness_blocks(NOTHING)
        == []
    )


def test_each_outcome_has_its_specification_curve_sorted_with_the_choices_behind_it(
    evidence: Records[EvidenceRecord],
) -> None:
    curves_of = {b["id"]: b for b in robustness_blocks(evidence) if b.get("drawing") == "specifications"}
    outcomes = dict.fromkeys(record.outcome for record in evidence.where(analysis="specification"))
    assert list(curves_of) == [f"specification-curve-{name}" for name in outcomes]
    for name in outcomes:
        figure = curves_of[f"specification-curve-{name}"]
        estimates = [point["estimate"] for point in figure["data"]["points"]]
        tried = [
            record.estimate
            for record in evidence.where(
                contrast="per 100 mg/d", exposure="magnesium from food", scale="odds ratio", outcome=name
            )
            if record.analysis in {"association", "specification"} and record.estimate is not None
        ]
        assert estimates == sorted(tried)
        assert f"{sum(estimate < 1 for estimate in tried)} are below 1" in figure["caption"]
        assert "their number is not evidence" in figure["caption"]
        levels = [set(panel["levels"]) for panel in figure["data"]["panels"]]
        assert all(
            choice in level
            for point in figure["data"]["points"]
            for choice, level in zip(point["choices"], levels, strict=True)
        )
        assert {tuple(point["choices"]) for point in figure["data"]["points"]} == {
            tuple(line["cells"][:3]) for line in figure["table"]["rows"]
        }


def test_the_flow_counts_who_remains_and_who_was_excluded(evidence: Records[EvidenceRecord]) -> None:
    (figure,) = flow_of_participants(evidence)
    steps = figure["data"]["steps"]
    studied = next(iter(evidence.where(analysis="association", weight_level="fasting")))
    assert steps[0] == {"label": "all participants", "n": 4500, "excluded": 0}
    assert steps[-1]["n"] == studied.n
    assert all(later["n"] == before["n"] - later["excluded"] for before, later in pairwise(steps))
    assert "Values missing at the last exclusion: " in figure["caption"]


def test_what_incomplete_data_cost_stands_beside_the_same_weighted_for_it(evidence: Records[EvidenceRecord]) -> None:
    blocks = robustness_blocks(changed(evidence, {"analysis": "inverse probability"}, estimate=0.6, low=0.5, high=0.7))
    (table,) = (block for block in blocks if block.get("id") == "complete-data")
    said = next(block["text"] for block in blocks if str(block.get("text", "")).startswith("Complete data"))
    studied = next(iter(evidence.where(analysis="association", weight_level="fasting")))
    assert f"{number(studied.n, digits=0)} are studied" in said
    assert {line["cells"][3].split(" ")[0] for line in table["rows"]} <= {"0.60", "0.600"}
    assert {line["cells"][0] for line in table["rows"]} == {"Undiagnosed diabetes", "HOMA-IR"}


def test_each_check_has_its_sentence_with_numbers(evidence: Records[EvidenceRecord]) -> None:
    found = {"estimate": 0.85, "low": 0.75, "high": 0.95, "p": 0.009}
    cycle = changed(evidence, {"analysis": "cycle left out", "outcome": "undiagnosed"}, estimate=0.7)
    value = changed(cycle, {"analysis": "e-value", "correction": CALIBRATED}, estimate=2.1, low=2.0)
    records = changed(value, {"analysis": "negative control", "outcome": "relatives"}, **found)
    text = " ".join(str(block.get("text", "")) for block in robustness_blocks(records))
    assert "Undiagnosed diabetes from 0.70 to 0.70" in text
    assert "Undiagnosed diabetes 2.10 (2.00 for the interval limit)" in text
    assert "Close relative with diabetes, odds ratio 0.85 (0.75 to 0.95), associated" in text
    told = next(iter(evidence.where(analysis="reverse causation")))
    assert f"{told.contrast.removesuffix(' against none')} {interval(told, digits=0, signed=True)} mg/d" in text


def test_controls_adjusted_for_diet_quality_stand_beside_those_without_it(evidence: Records[EvidenceRecord]) -> None:
    plain = changed(evidence, {"analysis": "negative control"}, p=0.001)
    both = [
        replace(each, model="diet_quality", estimate=0.93, low=0.83, high=1.05, p=0.2)
        for each in plain.where(analysis="negative control", outcome="relatives")
    ]
    text = str(robustness_blocks(Records((*plain, *both), plain.file)))
    assert (
        "Index-2020 too: Close relative with diabetes, odds ratio 0.93 (0.83 to 1.05), no evidence of an association"
        in text
    )
    assert "Healthy Eating Index-2020 too" not in str(robustness_blocks(plain))


Edit = Callable[[str, Callable[[Any], Any]], None]


def sentences(part: dict[str, Any]) -> str:
    return " ".join(str(block.get("text", "")) + str(block.get("items", "")) for block in part["blocks"])


def test_the_table_of_adjustments_shows_the_numbers_of_the_file(run_folder: Path) -> None:
    records = [
        r
        for r in read_json(run_folder / "evidence.json")
        if r["contrast"] == "per 100 mg/d" and r["analysis"] == "association"
    ]
    table = find_table(association(RunFolder(run_folder)), "adjustment-food-corrected")
    assert table is not None
    shown = {name: value for line in table["rows"] for name, value in line["raw"].items()}
    theirs = {
        r["model"]: r["estimate"]
        for r in records
        if r["correction"] == "regression calibration" and r["exposure"] == "magnesium from food"
    }
    assert shown == theirs


def test_uncorrected_stands_beside_corrected(run_folder: Path) -> None:
    part = association(RunFolder(run_folder))
    participants, sources, *figures = [block for block in part["blocks"] if block["kind"] == "figure"]
    assert [participants["id"], sources["id"]] == ["participants", "food-sources"]
    assert [block["id"] for block in figures[:2]] == ["adjustment-undiagnosed", "adjustment-homa_ir"]
    assert all("not an effect" in block["caption"] for block in figures)
    for block in figures[:2]:
        assert {point["kind"] for point in block["data"]["points"]} == {"uncorrected", "corrected"}


def test_people_cycles_and_limits_are_said(run_folder: Path) -> None:
    said = sentences(association(RunFolder(run_folder)))
    first = next(iter(RunFolder(run_folder).evidence.where(analysis="association", weight_level="fasting")))
    assert f"{first.n} people with the weights of the fasting subsample, NHANES 2013–2018" in said
    assert "Nothing here shows that magnesium prevents diabetes." in said
    assert "over-adjusted" in said


def test_an_estimate_that_could_not_be_made_is_shown_as_not_estimable(edit: Edit, run_folder: Path) -> None:
    def spoil(records: Any) -> None:
        for record in records:
            if record["outcome"] == "undiagnosed" and record["analysis"] == "association":
                record.update(estimate=None, low=None, high=None, problem="logistic.not_converged")

    edit("evidence.json", spoil)
    table = find_table(association(RunFolder(run_folder)), "adjustment-food-corrected")
    assert table is not None
    assert table["rows"][0]["cells"][1] == "not estimable"


def test_a_rung_that_is_not_there_is_an_error_with_its_name(edit: Edit, run_folder: Path) -> None:
    edit("evidence.json", lambda records: [r for r in records if r["model"] != "body"])
    with pytest.raises(MgRiskError, match="model body"):
        association(RunFolder(run_folder))


def test_food_sources_are_drawn_largest_first_with_good_sources_marked_and_in_the_sentence(
    evidence: Records[EvidenceRecord],
) -> None:
    (figure,) = food_sources(evidence)
    together, *groups = figure["data"]["bars"]
    assert [bar["marked"] for bar in figure["data"]["bars"]].count(True) == 6
    assert together["estimate"] == pytest.approx(sum(bar["estimate"] for bar in groups if bar["marked"]))
    assert all(above["estimate"] >= below["estimate"] for above, below in pairwise(groups))
    record = evidence.one(analysis="food source", exposure="rich", scale="mg/d")
    assert f"together bring {interval(record, digits=0)} mg a day" in figure["caption"]
    assert len(figure["table"]["rows"]) == 15
    assert food_sources(NOTHING) == []
