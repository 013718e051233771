"""Groups in the report: every number with its interval, small groups greyed out, absent ones listed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgrisk.report.sections.subgroups import DRAWN, groups_figure, groups_table
from mgrisk.run_folder.folder import RunFolder
from mgrisk.storage.files import read_json

HELD_OUT = "2017-2018"
Edit = Callable[[str, Callable[[Any], Any]], None]


def test_every_group_of_the_evaluation_has_its_row(run_folder: Path) -> None:
    records = [r for r in read_json(run_folder / "evaluation.json") if (r["set"], r["group"]) == (HELD_OUT, "sex")]
    table = groups_table(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")
    for level in {record["level"] for record in records}:
        (line,) = (row for row in table["rows"] if row["raw"].get("level") == level)
        expected = {r["metric"]: r for r in records if r["level"] == level and r["model"] == "spline_logistic"}
        assert line["raw"]["metrics"] == expected
        assert line["cells"][1:3] == [str(expected["auroc"]["n"]), str(expected["auroc"]["events"])]


def test_a_group_whose_feature_the_run_has_not_is_there_and_says_so(run_folder: Path) -> None:
    table = groups_table(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")
    place = next(i for i, row in enumerate(table["rows"]) if row["cells"][0] == "Family income")
    absent = table["rows"][place + 1]
    assert absent["pale"]
    assert absent["cells"][1] == "not asked"
    assert set(absent["cells"][2:]) == {""}


def test_a_group_that_would_not_be_printed_is_greyed_and_its_numbers_marked(run_folder: Path, edit: Edit) -> None:
    def keep_back(records: list[dict[str, Any]]) -> None:
        for record in records:
            if record["group"] == "sex" and record["metric"] in {"prevalence", "auroc"}:
                record["presentation"] = "suppress:width" if record["level"] == "female" else "present"

    edit("evaluation.json", keep_back)
    table = groups_table(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")
    female, male = (next(r for r in table["rows"] if r["raw"].get("level") == name) for name in ("female", "male"))
    assert female["pale"]
    assert female["cells"][0] == "female (too few to judge)"
    assert female["cells"][4].endswith("*")
    assert not male["pale"]


def test_the_figure_has_the_estimates_of_each_group_and_keeps_back_what_the_standards_keep_back(
    run_folder: Path, edit: Edit
) -> None:
    def keep_back(records: list[dict[str, Any]]) -> None:
        for record in records:
            suppressed = (record["level"], record["metric"]) == ("female", "observed_expected")
            record["presentation"] = "suppress:width" if suppressed else "present"

    edit("evaluation.json", keep_back)
    data = groups_figure(RunFolder(run_folder), "held-out", HELD_OUT, "held-out")["data"]
    female = data["rows"].index("Sex: female")
    assert data["rows"][0] == "All"
    assert 1 in data["breaks"]
    of_model = RunFolder(run_folder).evaluation.where(set=HELD_OUT, model="spline_logistic")
    drawn = {}
    for (metric, ideal), panel in zip(DRAWN, data["panels"], strict=True):
        everybody = of_model.one(group="all", metric=metric)
        assert panel["points"][0]["estimate"] == panel["everybody"] == everybody.estimate
        assert panel["ideal"] == ideal
        record = of_model.one(group="sex", level="female", metric=metric)
        drawn[metric] = panel["points"][female]["estimate"] == record.estimate
    assert drawn == {"auroc": True, "observed_expected": False, "calibration_slope": True}
