"""A small finished run folder, made by code: 15 strata of 2 PSUs, a model of five features, known answers."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.evaluate.assess import CROSS_VALIDATED, assess, assess_scores
from mgrisk.evaluate.calibrators import compare_calibrators
from mgrisk.evaluate.predictions import Predictions
from mgrisk.evaluate.table_one import table_one
from mgrisk.evaluate.thresholds import Thresholds, choose_thresholds
from mgrisk.evidence.adjustment_set import OUTCOMES, RUNGS
from mgrisk.evidence.regression import CALIBRATED, FOOD, NONE, SUPPLEMENT, Record
from mgrisk.evidence.what_if import OPTIONS
from mgrisk.features.compute import typed
from mgrisk.features.registry import features
from mgrisk.riskscores.scores import load_score
from mgrisk.storage.files import read_json, write_json, write_parquet
from mgrisk.survey.design import SurveyDesign, WeightLevel

NAMES = ("age_years", "sex", "magnesium_total_mg", "magnesium_food_mg", "energy_kcal")
STORED = features((*NAMES, "magnesium_supplement_mg"))
SIZES = {DEVELOPMENT: 400, HELD_OUT: 300}
HELD_OUT_CYCLE = "2017-2018"
BASE = -2.0


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "tiny"
    _write_run(folder, data="NHANES")
    return folder


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "tiny"))


@pytest.fixture
def edit(run_folder: Path) -> Callable[[str, Callable[[Any], Any]], None]:
    """Change a JSON file of the run folder; the function may return the new content or change it in place."""

    def change(name: str, by: Callable[[Any], Any]) -> None:
        content = read_json(run_folder / name)
        changed = by(content)
        write_json(run_folder / name, content if changed is None else changed)

    return change


@pytest.fixture
def synthetic_run(run_folder: Path) -> Path:
    for path in run_folder.rglob("*.json"):
        path.write_text(path.read_text("utf-8").replace('"NHANES"', '"SYNTHETIC"'), "utf-8")
    return run_folder


def _write_run(folder: Path, *, data: str) -> None:
    random = np.random.default_rng(5)
    n = sum(SIZES.values())
    which = np.repeat(list(SIZES), list(SIZES.values()))
    people = pd.DataFrame(
        {
            "SEQN": np.arange(n) + 730001,
            "cycle": np.where(which == DEVELOPMENT, "2015-2016", HELD_OUT_CYCLE),
            "set": which,
            "stratum": np.arange(n) % 15 + np.where(which == DEVELOPMENT, 0, 100),
            "psu": (np.arange(n) // 15) % 2 + 1,
            "weight": random.uniform(1000.0, 9000.0, n),
        }
    )
    food = random.uniform(80.0, 600.0, n)
    table = pd.DataFrame(
        {
            "age_years": random.integers(20, 80, n).astype(float),
            "sex": random.choice(["female", "male"], n),
            "magnesium_food_mg": np.where(np.arange(n) % 20 == 7, np.nan, food),
            "magnesium_supplement_mg": np.where(np.arange(n) % 3 == 0, 100.0, 0.0),
            "energy_kcal": 5 * food + random.uniform(200.0, 900.0, n),
        }
    )
    table["magnesium_total_mg"] = table["magnesium_food_mg"] + table["magnesium_supplement_mg"]
    parts = pd.DataFrame(
        {
            "age_years": 0.05 * (table["age_years"] - 50.0),
            "sex": np.where(table["sex"] == "male", 0.3, -0.3),
            "magnesium_total_mg": (-0.0005 * (table["magnesium_total_mg"] - 350.0)).fillna(0.02),
            "magnesium_food_mg": (-0.001 * (table["magnesium_food_mg"] - 300.0)).fillna(0.1),
            "energy_kcal": 0.0001 * (table["energy_kcal"] - 2000.0),
        }
    )
    risk = 1.0 / (1.0 + np.exp(-(BASE + parts.sum(axis=1).to_numpy())))
    people["outcome"] = (random.uniform(size=n) < risk).astype(float)
    people["analysis"] = np.arange(n) % 10 != 3
    others = 1.0 / (1.0 + np.exp(-(BASE + parts["age_years"].to_numpy())))
    points = np.floor((table["age_years"].to_numpy() - 20.0) / 10.0)

    records: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    acted: list[dict[str, Any]] = []
    thresholds: Thresholds = {}
    first: list[dict[str, Any]] = []
    curves = {}
    for set_name, label in ((DEVELOPMENT, CROSS_VALIDATED), (HELD_OUT, HELD_OUT_CYCLE)):
        here = (which == set_name).nonzero()[0]
        rows = people.iloc[here]
        design = SurveyDesign(
            rows["weight"].to_numpy(), rows["stratum"].to_numpy(), rows["psu"].to_numpy(), WeightLevel.FASTING,
            rows["analysis"].to_numpy(),
        )  # fmt: skip
        y = rows["outcome"].to_numpy()
        risks = {"spline_logistic": risk[here], "xgboost": others[here]}
        scores = {"ada": points[here]}
        frame = typed(table.iloc[here].reset_index(drop=True), STORED)
        predictions = Predictions(y, risks, scores, design)
        thresholds = thresholds or choose_thresholds(predictions, cuts={"ada": 5.0})
        found = assess(
            predictions, frame,
            chosen="spline_logistic", thresholds=thresholds, outcome="undiagnosed", set_name=label,
        )  # fmt: skip
        acted += found.thresholds
        of_scores, less = assess_scores(
            Predictions(
                y,
                {"ada:logistic": others[here]},
                {"ada": points[here], "uspstf": (points[here] > 3) * 1.0},
                design,
            ),
            cuts={"ada": [5.0], "uspstf": [1.0]},
            reference=("ada",),
            model={"spline_logistic": risk[here]},
            context={"outcome": "undiagnosed", "set": label, "group": "all", "level": "all"},
        )
        records += [*found.records, *of_scores]
        differences += [*found.differences, *less]
        curves[label] = found.curves
        first += table_one(frame, y, design, chosen=STORED, set_name=set_name)

    def labelled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "data": data} for row in rows]

    inside = people["analysis"].to_numpy()
    keys = people.loc[inside, ["SEQN", "cycle", "set", "weight", "outcome"]]
    predicted = keys.assign(spline_logistic=risk[inside], xgboost=others[inside], ada=points[inside], data=data)
    explained = parts[inside].assign(
        base_value=BASE,
        risk_low=0.8 * risk[inside],
        risk_high=risk[inside] ** 0.8,
        in_domain=True,
        recall_share=np.nan,
        SEQN=keys["SEQN"],
        set=keys["set"],
        data=data,
    )
    folds = people.loc[people["set"] == DEVELOPMENT, ["SEQN", "stratum", "psu"]].assign(fold=lambda f: f["psu"] - 1)
    write_parquet(folder / "cohort.parquet", people.assign(data=data))
    write_parquet(folder / "features.parquet", typed(table, STORED).assign(SEQN=people["SEQN"], data=data))
    write_parquet(folder / "predictions.parquet", predicted)
    write_parquet(folder / "explanations.parquet", explained)
    write_parquet(folder / "folds.parquet", folds.assign(data=data))
    write_json(folder / "evaluation.json", labelled(records))
    write_json(folder / "differences.json", labelled(differences))
    write_json(folder / "thresholds.json", labelled(acted))
    write_json(folder / "curves.json", {"data": data, "sets": curves})
    write_json(folder / "table_one.json", labelled(first))
    rows = people[which == DEVELOPMENT]
    design = SurveyDesign(
        rows["weight"].to_numpy(), rows["stratum"].to_numpy(), rows["psu"].to_numpy(), WeightLevel.FASTING,
        rows["analysis"].to_numpy(),
    )  # fmt: skip
    margin = BASE + parts[which == DEVELOPMENT].sum(axis=1).to_numpy()
    compared = compare_calibrators(margin, rows["outcome"].to_numpy(), design, rows["psu"].to_numpy() - 1)
    write_json(folder / "calibration.json", {"data": data, "learner": "spline_logistic", **compared.to_dict()})
    for name, content in _small_files(folder, data=data).items():
        write_json(folder / name, content)


def _compared() -> dict[str, Any]:
    """What the explain step says of groups, subgroups, other learners and pairs."""
    groups = [
        {"set": set_name, "group": group, "importance": size, "se": 0.01, "low": size - 0.02, "high": size + 0.02,
         "summed": 0.9 * size}
        for set_name in SIZES
        for group, size in (("diet", 0.2), ("background", 0.5), ("magnesium", 0.3))
    ]  # fmt: skip
    subgroups = [
        {"by": "sex", "level": level, "feature": name, "n": n, "importance": size, "se": 0.01, "low": size,
         "high": size, "problem": problem}
        for level, n, size, problem in (("female", 120, 0.4, ""), ("male", 12, None, "too_few"))
        for name in NAMES
    ]  # fmt: skip
    agreement = [
        {"learner": "xgboost", "same_first": 0.7, "in_common": 0.8, "log_odds": 0.9, "importance": 0.95,
         "features": dict.fromkeys(NAMES, 0.5) | {"sex": None}}
    ]  # fmt: skip
    pair = {
        "learner": "xgboost", "first": "age_years", "second": "sex", "first_label": "Age", "second_label": "Sex",
        "importance": 0.03, "se": 0.001, "low": 0.02, "high": 0.04, "problem": "",
    }  # fmt: skip
    across = {"models": 2, "always_first": 0.7, "ranks": {name: {"low": 1.0, "high": 4.0} for name in NAMES}}
    return {
        "groups": groups, "subgroups": subgroups, "agreement": agreement, "across_learners": across,
        "interactions": [pair],
    }  # fmt: skip


def _score(name: str, *, data: str) -> dict[str, Any]:
    about = load_score(name).model_dump(mode="json", exclude={"item"})
    if name == "framingham":
        return {**about, "evaluated": False, "problem": "not evaluated, because it is in this test", "data": data}
    answered = {set_name: {"unanswered": 0.051, "unanswered_by_item": {}} for set_name in SIZES}
    return {**about, "evaluated": True, "recalibrated": [], "sets": answered, "data": data}


def _check(name: str, title: str, *, passed: bool | None, finding: str) -> dict[str, Any]:
    status = "not applicable" if passed is None else "passed" if passed else "finding"
    told = {"id": name, "title": title, "severity": "warning", "passed": passed, "finding": finding}
    return {**told, "status": status}


def _added_value(data: str) -> dict[str, Any]:
    numbers = {"estimate": 0.0021, "low": -0.0012, "high": 0.0054, "se": 0.001, "n": 270, "events": 30, "problem": ""}
    records = [
        {"question": "magnesium, beside everything else", "set": label, "metric": metric, **numbers}
        for label in (CROSS_VALIDATED, HELD_OUT_CYCLE)
        for metric in ("auroc", "log_loss", "net_benefit@0.05", "net_benefit@0.1")
    ]
    about = {"data": data, "model": "spline_logistic", "limit": 0.01, "reason": "", "variants": {}}
    return {**about, "records": records}


def _small_files(folder: Path, *, data: str) -> dict[str, Any]:
    outcome = {
        "name": "undiagnosed",
        "label": "Undiagnosed diabetes",
        "definition": "HbA1c ≥ 6.5 % in a person never told of diabetes",
        "warning": "Measured at one visit; a clinical diagnosis needs a second test.",
        "citation": "ADA",
        "leaks": ["LBXGH", "DIQ*"],
    }
    steps = [
        {"set": name, "rule": rule, "n": n, "excluded": out, "events": 30, "data": data}
        for name, size in SIZES.items()
        for rule, n, out in (("all participants", size, 0), ("examined", size - size // 10, size // 10))
    ]
    candidates = [
        {
            "part": part, "params": params, "measure": "log_loss", "loss": loss,
            "fold_loss": [loss - 0.01, loss + 0.01],
        }
        for part, params, loss in (("spline_logistic", {"c": 0.1}, 0.3), ("xgboost", {"depth": 2}, 0.31))
    ]  # fmt: skip
    quantiles = {"0.0005": 15.0, "0.05": 100.0, "0.5": 300.0, "0.95": 560.0, "0.9995": 9000.0}
    reference = {
        feature.name: {"missing": 0.002, "quantiles": quantiles}
        if feature.kind == "number"
        else {"missing": 0.0, "shares": {level: 1 / len(feature.levels) for level in feature.levels}}
        for feature in features(NAMES)
    }
    about = {
        "name": "mgrisk-undiagnosed", "title": "Undiagnosed diabetes in a tiny run", "data": data, "mgrisk": "0.1.0",
        "outcome": outcome, "cycles": ["2015-2016"], "held_out": [HELD_OUT_CYCLE], "minimum_age": 20,
        "people": 360, "cases": 60, "prevalence": 0.15,
        "interval": "90 % interval of what a test says", "configuration_sha256": "c" * 64, "data_sha256": "d" * 64,
        "features": [feature.model_dump(mode="json") for feature in features(NAMES)],
    }  # fmt: skip
    importance = [
        {
            "set": set_name, "feature": feature.name, "label": feature.label, "group": feature.group,
            "importance": 0.5 - 0.1 * place, "se": 0.01, "low": 0.48 - 0.1 * place, "high": 0.52 - 0.1 * place,
            "direction": None if feature.kind == "category" else 0.9,
            "rank": place + 1.0, "rank_low": max(place, 1.0), "rank_high": place + 2.0, "among_first": 1 / (place + 1),
        }
        for set_name in SIZES
        for place, feature in enumerate(features(NAMES))
    ]  # fmt: skip
    digest = hashlib.sha256(b"tiny").hexdigest()
    trained = "trained/spline_logistic"
    return {
        "evidence.json": _evidence(data),
        "what_if.json": _what_if(data),
        "attrition.json": steps,
        "cohort.json": {
            "data": data, "weight_level": "fasting", "weight": "WTSAF2YR", "forced_by": "LBXGLU", "outcome": outcome,
        },
        "tables.json": [
            {"cycle": "2015-2016", "table": "DEMO_I", "rows": 9, "size": 99, "sha256": digest, "data": data}
        ],
        "scores.json": [_score(name, data=data) for name in ("ada", "uspstf", "framingham")],
        "tuning.json": {
            "data": data, "winner": "spline_logistic", "candidates": candidates,
            "models": {
                row["part"]: {
                    "log_loss": row["loss"], "fold_log_loss": row["fold_loss"],
                    "parts": [{"part": row["part"], "scale": 1.0, "params": row["params"]}],
                }
                for row in candidates
            },
        },
        "explanation_summary.json": {
            "data": data, "learner": "spline_logistic", "base_value": BASE, "largest_additivity_error": 1e-15,
            "features": importance, **_compared(),
        },
        "known_answers.json": [
            {
                "name": "obesity-2015-2016", "kind": "published", "population": "adults", "cycles": "2015-2016",
                "published": 0.398, "tolerance": 0.0005, "source": "NCHS <Data Brief> 288", "estimate": 0.3977,
                "se": 0.016, "low": 0.364, "high": 0.432, "n": 5000, "df": 15, "passed": True, "note": "", "data": data,
            },
            {
                "name": "obesity-2021-2023", "kind": "published", "population": "adults", "cycles": "2021-2023",
                "published": 0.403, "tolerance": 0.0005, "source": "NCHS Data Brief 508", "estimate": None, "se": None,
                "low": None, "high": None, "n": None, "df": None, "passed": None,
                "note": "not applicable, because the run has no 2021-2023", "data": data,
            },
        ],
        "added_value.json": _added_value(data),
        "checks.json": [
            _check("MGR101", "No PSU stands in two folds", passed=True, finding="0 PSUs do"),
            _check("MGR206", "Magnesium adds no more than it can", passed=None, finding="no magnesium"),
            _check("MGR301", "Slope", passed=False, finding="slope 0.5"),
        ],
        "tripod.json": [
            {
                "item": "1", "topic": "Title", "status": "done", "answer": "Said.", "source": "TRIPOD+AI",
                "evidence": ["report.html#summary", "evaluation.json"], "data": data,
            },
        ],
        "probast.json": [
            {
                "id": "development 1.1", "topic": "Sources", "answer": "yes", "reason": "Made up.", "check": [],
                "source": "PROBAST+AI", "evidence": ["docs/decisions/0004.md"], "data": data,
            },
        ],
        "temporal.json": _temporal(data),
        "manifest.json": {
            "data": data, "mgrisk": "0.1.0", "pipeline": "tiny", "environment": {"python": "3.11"},
            "steps": {name: {"outputs": {f"{name}.json": digest}} for name in ("cohort", "report")},
        },
        f"{trained}/bundle.json": about,
        f"{trained}/reference.json": reference,
        f"{trained}/calibrator.json": {
            "kind": "logistic", "intercept": -0.1, "slope": 0.9, "covariance": [[0.02, 0.005], [0.005, 0.003]],
            "df": 15,
        },
    }  # fmt: skip


def _temporal(data: str) -> dict[str, Any]:
    """Return what the temporal step writes: two cycles left out, and risks that are too high without activity."""

    def records(ratio: float, **more: str) -> list[dict[str, Any]]:
        estimates = {"auroc": 0.8, "calibration_slope": 1.0, "observed_expected": ratio, "ici": 0.01}
        interval = {"low": ratio - 0.1, "high": ratio + 0.1, "events": 60, "problem": ""}
        return [{**more, "metric": metric, "estimate": estimate, **interval} for metric, estimate in estimates.items()]

    patterns = [("all_inputs", "Nothing", 1.0), ("activity", "Physical activity", 0.8)]
    missing = [
        record
        for name, label, ratio in patterns
        for record in records(ratio, missing=name, label=label, calibration="as reported")
    ]
    missing += records(1.01, missing="activity", label="Physical activity", calibration="recalibrated")
    cycles = [record for cycle in ("2007-2008", "2009-2010") for record in records(1.05, cycle=cycle)]
    return {"data": data, "model": "spline_logistic", "reason": "", "cycles": cycles, "missing_inputs": missing}


def _evidence(data: str) -> list[dict[str, Any]]:
    """Return what the evidence step writes: two outcomes on every rung, fifths on the main one, and all else once."""
    records = []
    for outcome, rung in product(("undiagnosed", "homa_ir"), RUNGS):
        codings = [(FOOD, "per 100 mg/d"), (SUPPLEMENT, "per 100 mg/d")]
        codings += [(FOOD, f"fifth {n}") for n in (2, 3, 4, 5)] if rung.main else []
        for (exposure, contrast), correction in product(codings, (NONE, CALIBRATED)):
            estimate = 0.85 if correction == NONE else 0.75
            records.append(
                _record("association", outcome, rung.name, contrast, correction, estimate, exposure=exposure)
            )
    for amount in (200, 300, 400):
        records.append(
            _record("dose-response", "undiagnosed", "habits", f"{amount} against 300 mg/d", value=1.4 - amount / 1000)
        )
    records.append(_record("dose-response", "undiagnosed", "habits", "non-linearity", value=0.7, scale="F", p=0.51))
    records += [
        _record("intake", "usual intake", "sex", f"{n} % eat less", value=200.0 + 4 * n, scale="mg/d")
        for n in (5, 50, 95)
    ]
    for contrast, adjusted in (("Men: no", None), ("Men: yes", None), ("Men: yes against no", 0.03)):
        records.append({**_record("interaction", "undiagnosed", "habits", contrast, value=0.8), "p_adjusted": adjusted})
    for contrast, scale in (
        ("whole", "ratio"),
        ("through body size (BMI, waist)", "ratio"),
        ("share through body size (BMI, waist)", "share"),
        ("sensitivity of the part", "correlation"),
    ):
        records.append(_record("mediation", "glucose_2h", "sequence", contrast, value=0.6, scale=scale))
    for people in ("energy told is plausible", "no magnesium from supplements"):
        records.append(_record("specification", "undiagnosed", f"habits, {people}", "per 100 mg/d", value=0.9))
    records.append(_record("cycle left out", "undiagnosed", "habits, without 2015-2016", "per 100 mg/d", value=0.7))
    records.append(_record("e-value", "undiagnosed", "habits", "per 100 mg/d", value=2.1, scale="E-value"))
    records.append(
        _record("negative control", "relatives", "habits", "per 100 mg/d", value=0.85, scale="odds ratio", p=0.009)
    )
    records.append(
        _record(
            "reverse causation",
            FOOD,
            "habits",
            "told of diabetes less than 5 years ago against none",
            value=5.0,
            scale="difference",
        )
    )
    return [{**record, "data": data} for record in records]


def _record(
    analysis: str, outcome: str, model: str, contrast: str, correction: str = CALIBRATED, value: float = 0.8, *,
    exposure: str = FOOD, scale: str = "", p: float = 0.01,
) -> dict[str, Any]:  # fmt: skip
    return Record(
        analysis=analysis, exposure=exposure, outcome=outcome, model=model, contrast=contrast,
        scale=scale or OUTCOMES[outcome].scale, estimate=value, low=value - 0.1, high=value + 0.1, se=0.06, p=p, n=300,
        events=60 if outcome == "undiagnosed" else None, correction=correction, weight_level="fasting",
        cycles="2015-2016, 2017-2018",
    ).to_dict()  # fmt: skip


def _what_if(data: str) -> list[dict[str, Any]]:
    """Return what the options step writes, for one person and the population."""
    records = []
    for person, n in (("man-52", 1), ("population", 250)):
        for option in (*OPTIONS, "together"):
            supplement = option == "magnesium_supplement"
            if supplement and person == "population":
                continue
            risk = None if supplement else 0.06
            records.append(
                {
                    "person": person, "description": "a man of 52" if n == 1 else "adults of 2017-2018", "n": n,
                    "baseline": 0.08, "option": option, "estimate": risk, "low": risk and 0.05, "high": risk and 0.07,
                    "dose": None if option == "together" else 120.0, "share": None if n == 1 else 0.5,
                    "advice": "ask a clinician first" if supplement else "", "data": data,
                    "model_response": 0.07 if n == 1 else None,
                }
            )  # fmt: skip
    return records
