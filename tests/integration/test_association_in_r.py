"""Every adjustment model on the real tables equals svyglm of the R package survey on the same columns."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.evidence.adjustment_set import DIET_QUALITY, OUTCOMES, SEQUENCE
from mgrisk.evidence.people import Panel, build_panel, panels, read_people
from mgrisk.evidence.regression import (
    Adjusted,
    Fitted,
    fit_corrected,
    fit_uncorrected,
    linear_coding,
    on_scale,
    panel_scales,
)
from mgrisk.nhanes.store import Store

CYCLES = ("2007-2008", "2009-2010", "2011-2012", "2013-2014", "2015-2016", "2017-2018")
SVYGLM = """
suppressPackageStartupMessages({ library(survey); library(jsonlite) })
folder <- commandArgs(trailingOnly = TRUE)[1]
found <- list()
for (path in list.files(folder, "[.]csv$", full.names = TRUE)) {
  rows <- read.csv(path)
  design <- subset(svydesign(~psu, strata = ~stratum, weights = ~weight, data = rows, nest = TRUE), studied == 1)
  columns <- grep("^x", names(rows), value = TRUE)
  for (outcome in grep("^y[.]", names(rows), value = TRUE)) {
    family <- if (grepl("^y[.]is[.]", outcome)) quasibinomial() else gaussian()
    model <- svyglm(reformulate(columns, outcome), design, family = family, epsilon = 1e-12, maxit = 100)
    key <- paste(sub("[.]csv$", "", basename(path)), outcome, sep = "/")
    bounds <- confint(model)["x0", ]
    found[[key]] <- list(estimate = coef(model)[["x0"]], se = SE(model)[["x0"]], low = bounds[[1]], high = bounds[[2]],
                         p = coef(summary(model))["x0", 4], df = model$df.residual)
  }
}
cat(toJSON(found, auto_unbox = TRUE, digits = 17))
"""
NUMBERS = ("estimate", "se", "low", "high", "p", "df")
pytestmark = pytest.mark.nhanes


@pytest.fixture(scope="module")
def sequence(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """One row for each panel, adjustment, correction and outcome: ours, and what R says."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("Rscript is not installed")
    has = subprocess.run([rscript, "-e", "library(survey); library(jsonlite)"], capture_output=True, check=False)
    if has.returncode:
        pytest.skip("R has no package survey or jsonlite")
    folder = tmp_path_factory.mktemp("r")
    people = read_people(Store(source=str(mirror), cache=folder / "cache", offline=True), CYCLES)
    rows = []
    for name in panels():
        panel = build_panel(people, name)
        scales = panel_scales(panel, SEQUENCE[-1].all_nutrients)
        for adjustment in SEQUENCE:
            adjusted = Adjusted.of(panel, adjustment)
            usual = adjusted.intake_model(scales).fit(panel.design.analysis_weight[panel.inside]).usual
            of_adjustment = {"uncorrected": adjusted.recall_mean, "corrected": usual}
            for correction, intake in of_adjustment.items():
                _export(
                    folder / f"{name}.{adjustment.name}.{correction}.csv",
                    panel,
                    adjusted.matrix(linear_coding(), intake),
                )
            for fit in fit_uncorrected(panel, adjustment, [linear_coding()]):
                rows.append((f"{name}.{adjustment.name}.uncorrected/{_label(fit.outcome)}", *_first(fit)))
            for fit in fit_corrected(panel, adjustment, [linear_coding()], scales=scales):
                rows.append((f"{name}.{adjustment.name}.corrected/{_label(fit.outcome)}", *_first(fit)))
    script = folder / "svyglm.R"
    script.write_text(SVYGLM, encoding="utf-8")
    said = subprocess.run([rscript, str(script), str(folder)], capture_output=True, text=True, check=True)
    theirs = pd.DataFrame(json.loads(said.stdout)).T.astype(float).add_prefix("r_")
    ours = pd.DataFrame(rows, columns=["key", *NUMBERS]).set_index("key")
    return ours.join(theirs, how="outer")


def _first(fit: Fitted) -> tuple[float, ...]:
    """Return `NUMBERS` of magnesium, on the scale of the coefficient."""
    values = on_scale(float(fit.coefficients[0]), float(fit.se[0]), fit.df, "difference")
    return tuple(float(fit.df if name == "df" else values[name] or np.nan) for name in NUMBERS)


def _label(outcome: str) -> str:
    kind = "is" if OUTCOMES[outcome].binary else "of"
    return f"y.{kind}.{outcome.replace('-', '.')}"


def _export(path: Path, panel: Panel, X: np.ndarray) -> None:
    design = panel.design
    columns = {f"x{at}": np.zeros(len(design)) for at in range(X.shape[1])}
    for at in range(X.shape[1]):
        columns[f"x{at}"][panel.inside] = X[:, at]
    # R makes the column of ones itself.
    columns = {name: values for name, values in columns.items() if not (values[panel.inside] == 1.0).all()}
    outcomes = {_label(name): np.nan_to_num(values) for name, values in panel.outcomes.items()}
    studied = np.isin(np.arange(len(design)), panel.inside).astype(int)
    where = {"stratum": design.stratum, "psu": design.psu, "weight": design.weight, "studied": studied}
    pd.DataFrame({**where, **outcomes, **columns}).to_csv(path, index=False)


def test_every_estimate_and_every_uncorrected_interval_is_that_of_svyglm(sequence: pd.DataFrame) -> None:
    assert len(sequence) == 2 * len(SEQUENCE) * len(OUTCOMES)
    assert sequence.notna().all(axis=None)
    assert sequence["estimate"].to_numpy() == pytest.approx(sequence["r_estimate"].to_numpy(), rel=1e-6)
    uncorrected = sequence[sequence.index.str.contains("uncorrected")]
    for name in NUMBERS:
        assert uncorrected[name].to_numpy() == pytest.approx(uncorrected[f"r_{name}"].to_numpy(), rel=1e-5, abs=1e-9), (
            name
        )
    assert (sequence["df"] == sequence["r_df"]).all()


def test_the_error_of_the_correction_is_in_the_corrected_interval(sequence: pd.DataFrame) -> None:
    corrected = sequence[sequence.index.str.contains(".corrected/", regex=False)]
    # svyglm takes predicted intake for known.
    assert (corrected["se"] > 0.97 * corrected["r_se"]).all()
    assert (corrected["se"] / corrected["r_se"]).mean() > 1.02


# Coefficient of 100 mg/d and its standard error: R 4.2.2, survey 4.1.1, November 2026, svyglm(y ~ 0 + columns,
# subset(svydesign(~psu, strata = ~stratum, weights = ~weight, nest = TRUE), studied)), quasibinomial() or gaussian().
WITH_DIET_QUALITY = {
    "undiagnosed": (-0.178331088050322, 0.0931092163466581),
    "homa_ir": (-0.0744735167625029, 0.011371937551684),
}


def test_the_model_with_diet_quality_is_as_in_r(mirror: Path, tmp_path: Path) -> None:
    store = Store(source=str(mirror), cache=tmp_path, offline=True)
    if store.food_patterns is None:
        pytest.skip("MGRISK_FOOD_PATTERNS does not name the folder of USDA's food patterns")
    panel = build_panel(read_people(store, CYCLES), "fasting")
    assert DIET_QUALITY in panel.models
    for fit in fit_uncorrected(panel, DIET_QUALITY, [linear_coding()], outcomes=[*WITH_DIET_QUALITY]):
        found = float(fit.coefficients[0]), float(fit.se[0])
        assert found == pytest.approx(WITH_DIET_QUALITY[fit.outcome], rel=1e-6)
        assert (fit.n, fit.df) == (9034, 66)
