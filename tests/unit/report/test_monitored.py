"""The page of batches has every table and figure, escapes text, and shows SYNTHETIC."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from mgrisk.report.blocks import blocks_of, find_section
from mgrisk.report.figures import draw
from mgrisk.report.monitored import monitored_content
from mgrisk.report.render import render

HOSTILE = "<script>alert(1)</script>$x$\u202e"


def tables(n: int = 3, site: str = "north") -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    batches, codes, shifts, alerts = [], [], [], []
    for night in range(n):
        batch = f"night {night}"
        for group in ("", site):
            seen = night == 0
            batches.append(
                {
                    "batch": batch, "time": "2026-11-30T01:00:00Z", "model": "toy", "sha256": "0" * 64, "group": group,
                    "rows": 1000 + night, "scored": 990, "rejected": 10, "not_eligible": 0, "outside": 0.01,
                    "mean_risk": 0.08, "risk_10": 0.01, "risk_50": 0.05, "risk_90": 0.2, "expected_cases": 79.2,
                    "expected_auroc": 0.8, "observed_n": 990 if seen else np.nan,
                    "observed_cases": 90 if seen else np.nan,
                    **{
                        f"{metric}{end}": value if seen else np.nan
                        for metric in ("observed_expected", "auroc")
                        for end, value in (("", 0.9), ("_low", 0.8), ("_high", 1.0))
                    },
                }
            )  # fmt: skip
            codes.append({"batch": batch, "group": group, "code": "missing:age_years", "rows": 10, "share": 0.01})
            for against in ("before", "others" if group else "reference"):
                for feature, psi in (("age_years", 0.3), ("risk", np.nan)):
                    shifts.append(
                        {
                            "batch": batch, "group": group, "feature": feature, "against": against, "people": 990,
                            "psi": psi, "psi_limit": 0.02, "ks": 0.2, "ks_se": 0.02, "missing": 0.0,
                            "missing_against": 0.0,
                        }
                    )  # fmt: skip
        alerts.append(
            {
                "batch": batch, "group": site, "alert": "shift", "feature": "age_years", "against": "others",
                "value": 0.3, "limit": 0.25, "says": f"age_years: PSI 0.30 {site}",
            }
        )  # fmt: skip
    return pd.DataFrame(batches), pd.DataFrame(codes), pd.DataFrame(shifts), pd.DataFrame(alerts[::-1])


@pytest.mark.parametrize("by", ["site", None])
def test_the_page_has_its_sections_and_every_picture_its_numbers(by: str | None) -> None:
    content = monitored_content(*tables(), by=by, synthetic=False, notes=["a line was passed over"])
    names = [each["id"] for each in content["sections"]]
    assert names[0] == "summary"
    assert names[-1] == "alerts"
    assert ("groups-section" in names) == bool(by)
    figures = blocks_of(content, "figure")
    assert {each["drawing"] for each in figures} == {"trend", "heat"}
    drawn = {each["id"]: draw(each) for each in figures}
    assert all(each["table"]["rows"] for each in figures)
    page = render(content, drawn)
    assert "a line was passed over" in page
    assert "site north: age_years: PSI 0.30" in page or by is None
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    (table,) = find_section(content, "alerts")["blocks"]
    assert table["rows"][0]["cells"] == ["night 2, north", "age_years: PSI 0.30 north (limit 0.25)"]


def test_texts_of_the_history_are_shown_and_obeyed_by_nobody() -> None:
    batches, *others = tables(site=HOSTILE)
    batches["batch"] = batches["batch"] + HOSTILE
    for each in others:
        each["batch"] = each["batch"] + HOSTILE
    content = monitored_content(batches, *others, by=HOSTILE, synthetic=False, notes=[])
    page = render(content, {each["id"]: draw(each) for each in blocks_of(content, "figure")})
    assert "<script>alert" not in page
    assert "\u202e" not in page


def test_made_up_people_are_called_so_on_the_page_and_on_each_picture() -> None:
    content = monitored_content(*tables(), by="site", synthetic=True, notes=[])
    assert content["title"].startswith("SYNTHETIC")
    assert content["banner"]
    assert all("SYNTHETIC" in draw(each) for each in blocks_of(content, "figure"))


def test_without_outcomes_and_alerts_the_page_says_so() -> None:
    batches, codes, shifts, alerts = tables()
    batches.loc[:, [name for name in batches if name.startswith("observed") or name.startswith("auroc")]] = np.nan
    content = monitored_content(batches, codes.iloc[:0], shifts, alerts.iloc[:0], by=None, synthetic=False, notes=[])
    page = render(content, {each["id"]: draw(each) for each in blocks_of(content, "figure")})
    assert "no outcomes yet" in page
    assert "No batch was beyond a limit." in page
    assert "All rows of the latest batch were scored." in page


@pytest.mark.parametrize("n", [1, 200])
def test_one_batch_and_very_many_are_drawn(n: int) -> None:
    content = monitored_content(*tables(n), by="site", synthetic=False, notes=[])
    for each in blocks_of(content, "figure"):
        assert len(draw(each)) < 200_000
    shown = [(len(each["rows"]), each["folded"]) for each in find_section(content, "alerts")["blocks"]]
    assert shown == ([(1, False)] if n == 1 else [(10, False), (190, True)])
