from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mgrisk.report.blocks import ABSENT, MADE, blocks_of, find_section, find_table
from mgrisk.report.content import failed_sections, report_content
from mgrisk.report.formats import interval
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import read_json, write_parquet

Edit = Callable[[str, Callable[[Any], Any]], None]


def test_every_section_of_a_finished_run_can_be_made(run_folder: Path) -> None:
    assert failed_sections(report_content(run_folder)) == ()


def test_no_placeholder_is_left_in_a_sentence(run_folder: Path) -> None:
    assert re.findall(r"\{[a-z_]+\}", json.dumps(report_content(run_folder))) == []


def test_content_is_json_and_the_same_each_time(run_folder: Path) -> None:
    first = report_content(run_folder)
    assert json.loads(json.dumps(first, allow_nan=False)) == first == report_content(run_folder)


def test_methods_say_by_what_the_interval_was_widened_and_what_it_covered(run_folder: Path, edit: Edit) -> None:
    record = {
        "draws": 12, "stretch": 0.25, "factor": 1.5,
        "before": [0.61, 0.62, 0.63, 0.64, 0.65], "covered": [0.96, 0.95, 0.94, 0.93, 0.9],
    }  # fmt: skip

    def widened(by: dict[str, Any] | None) -> str:
        def change(tuning: Any) -> None:
            tuning["models"][tuning["winner"]]["widening"] = by

        edit("tuning.json", change)
        return json.dumps(find_section(report_content(run_folder), "methods"), ensure_ascii=False)

    found = widened(record)
    assert "multiplied by 1.5" in found
    assert "In 12 simulations" in found
    assert "96.0\u00a0%, 95.0\u00a0%" in found
    assert "widened" not in widened(None)


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("attrition.json", "attrition"),
        ("table_one.json", "table-one"),
        ("curves.json", "performance"),
        ("differences.json", "performance"),
        ("explanation_summary.json", "drivers"),
        ("explanations.parquet", "magnesium"),
        ("features.parquet", "people"),
        ("checks.json", "checks"),
        ("known_answers.json", "known"),
        ("folds.parquet", "methods"),
        ("manifest.json", "provenance"),
        ("trained/spline_logistic/reference.json", "features"),
    ],
)
def test_a_section_whose_file_is_missing_says_why(run_folder: Path, name: str, section: str) -> None:
    (run_folder / name).unlink()
    content = report_content(run_folder)
    found = find_section(content, section)
    assert section in failed_sections(content)
    assert f"{name} is not in the run folder" in found["reason"]


def test_an_empty_folder_still_gives_every_section_with_a_reason(tmp_path: Path) -> None:
    content = report_content(tmp_path)
    assert {item["status"] for item in content["sections"]} == {"failed"}
    assert all(item["reason"] for item in content["sections"])
    assert "whether its people are real" in content["banner"]


def test_a_damaged_file_costs_its_section_only(run_folder: Path) -> None:
    (run_folder / "attrition.json").write_text('{"half":', "utf-8")
    content = report_content(run_folder)
    assert failed_sections(content) == ("attrition",)
    assert "cannot be read as JSON" in find_section(content, "attrition")["reason"]


def test_a_missing_entry_is_named(edit: Edit, run_folder: Path) -> None:
    edit("attrition.json", lambda content: content[0].pop("rule") and None)
    content = report_content(run_folder)
    assert failed_sections(content) == ("attrition",)
    assert "attrition.json has no entry '0.rule'" in find_section(content, "attrition")["reason"]


def test_numbers_equal_those_of_the_evaluation(run_folder: Path) -> None:
    evaluation = RunFolder(run_folder).evaluation.where(group="all")
    records = {(record.set, record.model, record.metric): record for record in evaluation}
    content = report_content(run_folder)
    table = find_table(find_section(content, "performance"), "performance-metrics")
    assert table is not None
    assert len(table["rows"]) == 24
    for place, set_name in enumerate(("2017-2018", "cross-validated")):
        of_set = table["rows"][place::2]
        assert {line["level"] for line in of_set} == {place}
        for line in of_set:
            if "metric" not in line["raw"]:
                assert place or line["cells"][0] == "AUROC without people with prediabetes among the controls"
                continue
            assert line["raw"]["set"] == set_name
            for model, raw in line["raw"]["models"].items():
                assert raw == vars(records[set_name, model, line["raw"]["metric"]])
        assert of_set[0]["cells"][1] == interval(records[set_name, "spline_logistic", "auroc"])
        assert [column["marked"] for column in table["columns"]] == [False, True, False, False]
        # The published score ranks by its points; whatever needs a risk is of the recalibrated one.
        cells = {line["raw"].get("metric"): line["cells"][3] for line in of_set}
        assert table["columns"][3]["label"] == "ADA risk test, recalibrated"
        assert cells["auroc"] == interval(records[set_name, "ada", "auroc"])
        assert cells["brier"] == interval(records[set_name, "ada:logistic", "brier"], digits=4)


def test_figures_of_the_first_screen_stand_with_their_intervals(run_folder: Path) -> None:
    found = find_section(report_content(run_folder), "summary")["blocks"][1]
    auroc = next(
        r for r in read_json(run_folder / "evaluation.json")
        if (r["set"], r["model"], r["metric"]) == ("2017-2018", "spline_logistic", "auroc")
    )  # fmt: skip
    ranking = found["items"][0]
    assert ranking["value"] == f"{auroc['estimate']:.3f}"
    assert ranking["range"] == f"{auroc['low']:.3f} to {auroc['high']:.3f}"
    assert [line["term"] for line in ranking["lines"]] == [
        "ADA risk test, same people",
        "Difference, paired",
    ]
    assert (
        "than the ADA risk test. Net benefit per 1,000 people minus that of the recalibrated score: "
        in ranking["detail"]
    )
    gauge = ranking["gauge"]
    assert [gauge[key] / 200 + 0.5 for key in ("low", "estimate", "high")] == pytest.approx(
        [auroc["low"], auroc["estimate"], auroc["high"]], abs=1e-4
    )
    # One mark, of the published score among all people, and none of its groups.
    (ada,) = (
        r["estimate"] for r in read_json(run_folder / "evaluation.json")
        if (r["set"], r["model"], r["metric"], r["group"]) == ("2017-2018", "ada", "auroc", "all")
    )  # fmt: skip
    assert [mark / 200 + 0.5 for mark in gauge["marks"]] == pytest.approx([ada], abs=1e-4)


def test_the_first_screen_tells_prediction_and_association_of_magnesium_apart(run_folder: Path) -> None:
    def card() -> dict[str, Any]:
        found: dict[str, Any] = find_section(report_content(run_folder), "summary")["blocks"][1]["items"][3]
        return found

    both = card()
    groups = [
        each for each in read_json(run_folder / "explanation_summary.json")["groups"] if each["set"] == "held-out"
    ]
    groups.sort(key=lambda each: -each["importance"])
    place, mine = next((place, each) for place, each in enumerate(groups, 1) if each["group"] == "magnesium")
    assert both["value"] == f"Rank {place} of {len(groups)} groups of features"
    shown = f"{mine['importance']:.2f}"
    assert both["lines"][0] == {
        "term": "Prediction: mean |SHAP value| of all magnesium features, log-odds",
        "value": shown,
    }
    added = find_section(report_content(run_folder), "magnesium-added-value")["blocks"][0]["text"]
    assert both["lines"][1]["value"] in added
    kinds = [line["term"].split(":")[0] for line in both["lines"]]
    assert kinds[:4] == ["Prediction", "Prediction", "Association", "… adjusted for body size too"]
    assert len(kinds) == 6  # with body size, supplements and the negative controls
    assert "no effect was estimated" in both["detail"]
    (run_folder / "evidence.json").unlink()
    alone = card()
    assert [line["term"].split(":")[0] for line in alone["lines"]] == ["Prediction"] * 2
    assert "neither an association nor an effect was estimated" in alone["detail"]


def test_what_cannot_be_estimated_is_shown_as_such_and_not_by_a_code(edit: Edit, run_folder: Path) -> None:
    def undefine(records: list[dict[str, Any]]) -> None:
        for record in records:
            if record["metric"] == "calibration_slope":
                record.update(estimate=None, low=None, high=None, problem="logistic.not_converged")

    edit("evaluation.json", undefine)
    content = report_content(run_folder)
    table = find_table(find_section(content, "performance"), "performance-metrics")
    assert table is not None
    slope = next(line for line in table["rows"] if line["raw"]["metric"] == "calibration_slope")
    assert slope["cells"][1] == "not estimable"
    assert failed_sections(content) == ()


def test_base_and_contributions_are_the_logit_of_the_reported_risk(run_folder: Path) -> None:
    for block in blocks_of(report_content(run_folder), "figure"):
        if block["drawing"] == "waterfall":
            total = block["data"]["base"] + sum(step["contribution"] for step in block["data"]["steps"])
            assert total == pytest.approx(block["data"]["end"], abs=1e-9)


def test_worked_people_have_no_number_of_their_own_and_rounded_values(run_folder: Path) -> None:
    part = find_section(report_content(run_folder), "people")
    text = json.dumps(part["sections"])
    people = pd.read_parquet(run_folder / "cohort.parquet")["SEQN"]
    assert not {str(number) for number in people} & set(re.findall(r"\b\d{5,}\b", text))
    ages = [line["raw"]["value"] for inner in part["sections"] for block in inner["blocks"] if block["kind"] == "figure"
            for line in block["table"]["rows"] if line["raw"]["feature"] == "age_years"]  # fmt: skip
    assert len(ages) == 2
    assert all(int(age) % 5 == 0 for age in ages)


def test_someone_without_an_explanation_fails_the_sections_that_need_it(run_folder: Path) -> None:
    table = pd.read_parquet(run_folder / "explanations.parquet")
    held_out = table.loc[table["set"] == "held-out", "SEQN"]
    write_parquet(run_folder / "explanations.parquet", table[table["SEQN"] != held_out.max()])
    content = report_content(run_folder)
    assert set(failed_sections(content)) == {"drivers", "dependence", "magnesium", "people"}
    assert f"1 of {len(held_out)} held-out people have no explanation" in find_section(content, "people")["reason"]


def test_prediction_association_and_evidence_have_three_headings(run_folder: Path) -> None:
    parts = find_section(report_content(run_folder), "magnesium")["sections"]
    assert [part["heading"].split(" (")[0].split(":")[0] for part in parts] == [
        "Prediction", "Incremental value of magnesium in the prediction", "Association", "Published evidence",
    ]  # fmt: skip
    assert [part["status"] for part in parts] == [MADE] * 4
    dependence = blocks_of({"sections": parts[:1]}, "figure")
    assert len(dependence) == 3
    assert all("not an effect" in block["caption"] for block in dependence)


def test_without_evidence_the_association_says_that_it_is_absent(run_folder: Path) -> None:
    (run_folder / "evidence.json").unlink()
    found = find_section(report_content(run_folder), "magnesium-association")
    assert found["status"] == ABSENT
    assert "no section [evidence]" in found["reason"]


def test_a_missing_value_learned_from_hardly_anybody_is_warned_of(edit: Edit, run_folder: Path) -> None:
    table = pd.read_parquet(run_folder / "explanations.parquet")
    people = pd.read_parquet(run_folder / "features.parquet")
    table.loc[table["SEQN"].isin(people.loc[people["energy_kcal"].isna(), "SEQN"]), "energy_kcal"] = 2.0
    write_parquet(run_folder / "explanations.parquet", table)
    edit("trained/spline_logistic/reference.json", lambda reference: reference["energy_kcal"].update(missing=0.002))
    blocks = find_section(report_content(run_folder), "drivers")["blocks"]
    assert any(b["kind"] == "callout" and "rests on 0.20\u00a0% of the development people" in b["text"] for b in blocks)


def test_a_check_with_a_finding_is_said_aloud(run_folder: Path) -> None:
    blocks = find_section(report_content(run_folder), "checks")["blocks"]
    failed = [each for each in read_json(run_folder / "checks.json") if each["passed"] is False]
    assert failed
    assert [block["text"].replace("\u00a0", " ") for block in blocks if block["kind"] == "callout"] == [
        f"Failed: {each['title']}. {each['finding']}" for each in failed
    ]


def test_one_synthetic_file_makes_the_whole_report_synthetic(edit: Edit, nhanes_run: Path) -> None:
    assert not report_content(nhanes_run)["synthetic"]
    edit("tuning.json", lambda content: {**content, "data": "SYNTHETIC"})
    content = report_content(nhanes_run)
    assert content["synthetic"]
    assert content["title"].startswith("SYNTHETIC")
    assert all("SYNTHETIC" in item["heading"] for item in content["sections"])


def test_published_figures_stand_beside_those_of_the_run_and_what_did_not_apply_is_left_out(
    edit: Edit, run_folder: Path
) -> None:
    reproduced = {"estimate": 0.3977, "low": 0.364, "high": 0.432, "passed": True}
    edit("known_answers.json", lambda rows: rows[0].update(published=0.398, tolerance=0.0005, **reproduced))
    first = read_json(run_folder / "known_answers.json")[0]
    found = find_table(find_section(report_content(run_folder), "known"), "known-table")
    assert found is not None
    assert [row["cells"] for row in found["rows"]] == [
        [first["name"].replace("-", " "), first["population"], "0.398 ± 0.0005", "0.398 (0.364 to 0.432)"]
    ]
    assert found["notes"] == [f"Sources: {first['source']}."]


def test_a_run_to_which_no_published_figure_applies_says_why(run_folder: Path) -> None:
    note = read_json(run_folder / "known_answers.json")[0]["note"]
    assert note.startswith("not applicable, because")
    part = find_section(report_content(run_folder), "known")
    assert (part["status"], part["reason"]) == ("absent", note)


def regroup(name: str, **change: Any) -> Callable[[Any], Any]:
    """An edit of a bundle's description that changes a feature."""

    def edited(about: Any) -> Any:
        features = [{**each, **change} if each["name"] == name else each for each in about["features"]]
        return {**about, "features": features}

    return edited


def test_parts_of_the_depletion_score_are_no_magnesium_and_the_report_says_so(run_folder: Path, edit: Edit) -> None:
    def grouped(summary: Any) -> Any:
        known = [{**each, "group": each["group"].replace("diet", "depletion")} for each in summary["groups"]]
        return {**summary, "groups": known}

    edit("trained/spline_logistic/bundle.json", regroup("energy_kcal", group="depletion", label="Diuretic"))
    edit("explanation_summary.json", grouped)
    content = report_content(run_folder)
    assert failed_sections(content) == ()
    said = " ".join(block["text"] for block in blocks_of(content, "callout"))
    assert "Not counted here: Diuretic. The depletion score does not measure magnesium." in said
    (bars,) = [block["data"]["bars"] for block in blocks_of(content, "figure") if block["id"] == "importance-groups"]
    (label,) = [bar["label"] for bar in bars if bar["group"] == "depletion"]
    assert label.endswith("none of which measures magnesium")


def test_a_model_without_depletion_says_nothing_of_it(run_folder: Path) -> None:
    said = " ".join(block["text"] for block in blocks_of(report_content(run_folder), "callout"))
    assert "depletion" not in said


def test_the_table_of_features_traces_each_to_its_variables_range_cycles_and_source(run_folder: Path) -> None:
    found = find_table(find_section(report_content(run_folder), "features"), "features-table")
    assert found is not None
    (total,) = [line for line in found["rows"] if line["raw"]["name"] == "magnesium_total_mg"]
    assert total["raw"]["sources"][:2] == ["DR1TMAGN", "DR1DRSTZ"]
    assert "DSQTMAGN" in total["cells"][3]
    assert total["cells"][1] == "0 to 10000 mg/d"
    assert total["cells"][5] == "2007-2008 to 2021-2023; a break at 2021-2023"
    assert "CDC/NCHS" in total["cells"][6]
