"""Dependence and interactions in the report: bands from the refits, ranges of curves, pairs of features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgrisk.report.blocks import blocks_of, find_section
from mgrisk.report.content import report_content
from mgrisk.report.explained import explained_people
from mgrisk.report.formats import interval
from mgrisk.report.sections.dependence import _ranges
from mgrisk.run_folder.folder import RunFolder

Edit = Callable[[str, Callable[[Any], Any]], None]


def test_every_number_has_its_dependence_plot_once(run_folder: Path) -> None:
    drawn = [b["id"] for b in blocks_of(report_content(run_folder), "figure") if b["drawing"] == "dependence"]
    numbers = [f"dependence-{each.name}" for each in RunFolder(run_folder).features if each.kind == "number"]
    assert sorted(drawn) == sorted([*numbers, "dependence-magnesium-together"])


def test_the_band_of_a_bin_is_that_of_the_refits_at_its_people(run_folder: Path) -> None:
    people = explained_people(RunFolder(run_folder))
    assert people.errors is not None
    figures = blocks_of(report_content(run_folder), "figure")
    (age,) = (block for block in figures if block["id"] == "dependence-age_years")
    forms = people.errors.moved(["age_years"])
    x = people.data["age_years"].to_numpy(dtype=np.float64)
    band = age["data"]["band"]
    lines = [line["raw"] for line in age["table"]["rows"] if "low" in line["raw"]]
    for raw, low, high in zip(lines, band["low"], band["high"], strict=True):
        here = (x >= raw["low"]) & (x <= raw["high"])
        mean = np.average(forms[here], axis=0, weights=people.weight[here])
        assert high - low == pytest.approx(2.0 * float(people.errors.reach(mean)))
        assert (high + low) / 2.0 == pytest.approx(raw["mean"])


def test_the_dots_are_people_of_the_table_of_people(run_folder: Path) -> None:
    content = report_content(run_folder)
    (table,) = blocks_of(content, "explorer")
    risks = np.array(table["data"]["risk"])
    people = explained_people(RunFolder(run_folder))
    for figure in blocks_of(content, "figure"):
        if figure["drawing"] == "dependence":
            data, name = figure["data"], figure["id"].removeprefix("dependence-")
            assert len(data["people"]) == len(data["x"]) == len(data["y"])
            np.testing.assert_allclose(risks[data["people"]], people.risk[data["people"]], rtol=1e-3)
            if name in people.data:
                values = people.data[name].to_numpy(dtype=np.float64)[data["people"]]
                np.testing.assert_allclose(data["x"], values, rtol=1e-3)
                assert max(data["x"]) <= data["density"]["edges"][-1] * (1 + 1e-3)


def test_an_importance_is_no_surer_than_the_people_who_were_sampled_to_develop_the_model(run_folder: Path) -> None:
    people = explained_people(RunFolder(run_folder))
    found = people.importance(["age_years"])
    records = RunFolder(run_folder).explanation.features
    (record,) = (each for each in records if (each.set, each.feature) == ("held-out", "age_years"))
    assert found.estimate == pytest.approx(record.importance)
    assert found.low is not None
    assert record.low is not None
    assert found.low < record.low


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ([(0.0, 0.6), (0.61, 1.2), (1.21, 5.0)], ["0.0 to 0.6", "0.6 to 1.2", "1.2 to 5.0"]),
        ([(20.0, 25.0), (26.0, 80.0)], ["20 to 25", "26 to 80"]),
        ([(0.0, 0.0), (1.0, 3.0)], ["0", "1 to 3"]),
        ([], []),
    ],
)
def test_ranges_of_bins_have_the_digits_that_tell_them_apart(ends: list[tuple[float, float]], shown: list[str]) -> None:
    assert _ranges([{"low": low, "high": high} for low, high in ends]) == shown


def pairs(folder: Path) -> dict[str, Any]:
    return find_section(report_content(folder), "dependence-interactions")


def test_pairs_of_an_additive_model_are_those_of_another_learner_and_said_to_be(run_folder: Path) -> None:
    part = pairs(run_folder)
    (drawn,) = [block for block in part["blocks"] if block["kind"] == "figure"]
    found = drawn["table"]
    strongest = RunFolder(run_folder).explanation.interactions[0]
    names = f"{strongest.first_label} × {strongest.second_label}"
    assert found["rows"][0]["cells"] == [names, interval(strongest.size)]
    first = drawn["data"]["bars"][0]
    assert first == {
        **strongest.size.bounds,
        "label": names,
        "marked": "Magnesium" in names,
    }
    assert any("no two features interact in it" in block.get("text", "") for block in part["blocks"])


def test_pairs_that_could_not_be_computed_say_why(edit: Edit, run_folder: Path) -> None:
    problem = [{"learner": "xgboost", "problem": "the trees are too deep"}]
    edit("explanation_summary.json", lambda summary: {**summary, "interactions": problem})
    texts = [block.get("text", "") for block in pairs(run_folder)["blocks"]]
    assert "Interactions in XGBoost were not computed, because the trees are too deep." in texts
