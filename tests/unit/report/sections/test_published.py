"""

The model's prediction for changed inputs is shown under Prediction, with its caveat, only if computed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgrisk.evidence.what_if import OPTIONS, STUDIES, TOGETHER
from mgrisk.report.blocks import find_table
from mgrisk.report.formats import percent, percent_digits
from mgrisk.report.sections.published import published, responses
from mgrisk.run_folder.folder import RunFolder


def words(part: dict[str, Any]) -> str:
    return str(part["blocks"])


def test_our_estimate_stands_beside_the_cohorts(run_folder: Path) -> None:
    part = published(RunFolder(run_folder))
    (forest,) = (block for block in part["blocks"] if block["kind"] == "figure")
    kinds = [point["kind"] for point in forest["data"]["points"]]
    assert kinds.count("relative risk of new diabetes") == 3
    for correction in ("uncorrected", "corrected for recall error"):
        assert kinds.count(f"odds ratio of undiagnosed diabetes, {correction}") == 3
    # With what the cohorts adjust for: body size, and fibre.
    labels = dict.fromkeys(point["label"] for point in forest["data"]["points"][3:])
    assert list(labels) == [
        "This run, adjusted for confounders", "This run, and BMI and waist", "This run, and fibre, calcium, potassium",
    ]  # fmt: skip
    assert "Compare rows of the same adjustment" in forest["caption"]
    assert "Differences in design" in forest["caption"]


def test_without_estimates_of_its_own_the_literature_still_stands(run_folder: Path) -> None:
    (run_folder / "evidence.json").unlink()
    (run_folder / "what_if.json").unlink()
    part = published(RunFolder(run_folder))
    (forest,) = (block for block in part["blocks"] if block["kind"] == "figure")
    assert len(forest["data"]["points"]) == 3
    assert "no estimate of its own" in forest["caption"]
    assert not any(str(block.get("id", "")).startswith("options") for block in part["blocks"])


def test_every_study_is_in_a_table_with_its_citation(run_folder: Path) -> None:
    part = published(RunFolder(run_folder))
    tables = [find_table(part, name) for name in ("published-cohorts", "published-trials")]
    cited = {line["cells"][5] for table in tables if table for line in table["rows"]}
    assert cited == {study.citation for study in STUDIES.values()}


def test_a_person_gets_swaps_in_grams_and_no_supplement_number_where_a_clinician_is_asked(
    edit: Callable[[str, Callable[[Any], Any]], None], run_folder: Path
) -> None:
    def ask(records: list[dict[str, Any]]) -> None:
        for record in records:
            if (record["person"], record["option"]) == ("man-52", "magnesium_supplement"):
                record.update(estimate=None, low=None, high=None, advice="ask a clinician first")
            elif (record["person"], record["option"]) == ("man-52", "magnesium_food"):
                record.update(dose=120.0)

    edit("what_if.json", ask)
    table = find_table(published(RunFolder(run_folder)), "options-man-52")
    assert table is not None
    by_option = {line["cells"][0]: line["cells"][1:] for line in table["rows"]}
    assert by_option["Meet the RDA of magnesium by a supplement"] == ["ask a clinician first", "–"]
    assert by_option["Meet the RDA of magnesium by food"][0] == "120.0 mg/d"
    assert "in place of" in table["notes"][1]
    baseline = RunFolder(run_folder).what_if.one(person="man-52", option="diet").baseline
    assert percent(baseline, digits=percent_digits(baseline)) in table["notes"][0]


def test_the_population_s_mean_dose_of_magnesium_is_told(
    run_folder: Path, edit: Callable[[str, Callable[[Any], Any]], None]
) -> None:
    def lack(records: list[dict[str, Any]]) -> None:
        for record in records:
            if (record["person"], record["option"]) == ("population", "magnesium_food"):
                record.update(dose=59.9)

    edit("what_if.json", lack)
    table = find_table(published(RunFolder(run_folder)), "options-population")
    assert table is not None
    assert "60 mg a day" in table["notes"][1]


def test_assumptions_are_named_and_nothing_is_promised(run_folder: Path) -> None:
    text = words(published(RunFolder(run_folder)))
    for word in ("Transport", "Independence", "not the model's own risk"):
        assert word in text
    promises = re.findall(r"[^.]*magnesium prevents[^.]*", text)
    assert promises
    assert all("Neither shows that" in promise for promise in promises)


def test_the_table_has_the_risk_as_is_and_each_change_and_says_that_it_is_no_effect(run_folder: Path) -> None:
    (block,) = responses(RunFolder(run_folder))
    assert "not the effect" in block["caption"]
    cells = [line["cells"] for line in block["rows"]]
    records = RunFolder(run_folder).what_if
    people = list(dict.fromkeys(each.person for each in records if each.person != "population"))
    for place, person in enumerate(people, 1):
        of_person = records.where(person=person)
        baseline = of_person.rows[0].baseline
        shown = [percent(value, digits=percent_digits(baseline)) for value in (
            baseline, *(of_person.one(option=option).model_response for option in (*OPTIONS, TOGETHER)),
        )]  # fmt: skip
        assert [line[place] for line in cells] == shown
    assert cells[0][0] == "As they are"
    assert "at their visit" in block["notes"][0]


def test_a_run_without_options_has_no_table(run_folder: Path) -> None:
    (run_folder / "what_if.json").unlink()
    assert responses(RunFolder(run_folder)) == []
