"""`mgrisk evaluate` and `mgrisk recalibrate` on a small cohort without and with a design."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from mgrisk import load_model
from mgrisk.cli.main import main
from mgrisk.model.recalibration import LEAST
from mgrisk.storage.files import sha256
from mgrisk.survey.folds import fold_of_psus

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle

SHIFT = 1.2


@pytest.fixture
def model(toy_bundles: dict[str, Bundle], tmp_path: Path) -> Path:
    bundle = toy_bundles["spline_logistic"]
    performance = {"set": "2017-2018", "auroc": [0.8, 0.7, 0.9], "observed_expected": [1.0, None, None]}
    about = {**bundle.about, "interval": "an interval", "performance": performance}
    replace(bundle, about=about).write(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def people(toy_people: ToyPeople, model: Path, tmp_path: Path) -> Path:
    """People among whom the disease is more frequent than the model says, and some rows that cannot be used."""
    frame = pd.concat([toy_people.frame] * 4, ignore_index=True)
    risk = load_model(model).score(frame, reasons=0)["risk"].to_numpy()
    random = np.random.default_rng(6)
    frame["ill"] = (random.random(len(frame)) < expit(logit(risk) + SHIFT)).astype(int)
    frame["clinic"] = np.arange(len(frame)) % 40
    frame["weight"] = random.uniform(1, 3, len(frame))
    frame["age_years"] = frame["age_years"].astype(object)
    frame.loc[:4, "age_years"] = "old"
    frame.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def estimate(folder: Path, metric: str) -> dict[str, float]:
    records = json.loads((folder / "evaluation.json").read_text("utf-8"))
    return next(record for record in records if record["metric"] == metric)


def test_a_cohort_without_a_design_is_evaluated_with_intervals_and_nobody_vanishes(
    model: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("evaluate", people, "--outcome", "ill", "--model", model, "-o", out) == 0
    ratio = estimate(out, "observed_expected")
    assert 1 < ratio["low"] < ratio["estimate"] < ratio["high"]
    context = json.loads((out / "people.json").read_text("utf-8"))
    assert context["attrition"][0]["n"] - context["attrition"][-1]["n"] == 5
    assert context["problems"]["not_a_number:age_years"] == 5
    assert context["model_sha256"] == sha256(model / "SHA256SUMS")
    summary = (out / "summary.md").read_text("utf-8")
    assert "SYNTHETIC toy on people.csv" in summary
    assert "simple random sampling" in summary
    assert "too low for these people" in capsys.readouterr().out
    assert set(json.loads((out / "curves.json").read_text("utf-8"))["external"]["SYNTHETIC toy"]) >= {
        "calibration",
        "roc",
    }


def test_a_design_that_is_given_is_used(model: Path, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    design = ("--weight", "weight", "--psu", "clinic")
    assert run("evaluate", people, "--outcome", "ill", *design, "--model", model, "-o", out) == 0
    context = json.loads((out / "people.json").read_text("utf-8"))
    assert (context["design"]["psus"], context["design"]["df"]) == (40, 39)


def test_auroc_without_prediabetes_among_the_controls_stands_beside_that_of_everybody(
    model: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(people)
    # The controls of highest risk have prediabetes, cases are told either way, and of some nothing is known.
    risk = load_model(model).score(frame.drop(columns=["ill", "clinic", "weight"]), reasons=0)["risk"]
    frame["near"] = np.where(risk > risk.median(), "yes", "no")
    frame.loc[frame.index % 11 == 0, "near"] = ""
    frame.to_csv(people, index=False)
    out = tmp_path / "out"
    asked = ("evaluate", people, "--outcome", "ill", "--model", model, "-o", out)
    assert run(*asked, "--prediabetes", "near") == 0
    said = capsys.readouterr().out
    records = json.loads((out / "evaluation.json").read_text("utf-8"))
    (everybody,) = (r for r in records if (r["metric"], r["group"]) == ("auroc", "all"))
    (fewer,) = (r for r in records if r["group"] == "controls")
    known = frame.iloc[5:]
    assert fewer["n"] == int(((known["ill"] == 1) | (known["near"] == "no")).sum())
    assert fewer["events"] == everybody["events"]
    assert fewer["estimate"] > everybody["estimate"]
    line = f"AUROC with people with prediabetes excluded from the controls: {fewer['estimate']:.3f}"
    assert line in said
    assert line in (out / "summary.md").read_text("utf-8")
    assert run(*asked) == 0
    assert "among the controls" not in capsys.readouterr().out
    assert run(*asked, "--prediabetes", "nowhere") == 3


@pytest.mark.parametrize("method", ["intercept", "logistic"])
def test_a_recalibrated_bundle_is_right_in_the_large_and_scores_and_names_its_parent(
    model: Path, people: Path, tmp_path: Path, method: str
) -> None:
    child, out = tmp_path / "child", tmp_path / "out"
    told = ("--population", "the toy clinic, 2022")
    assert run("recalibrate", people, "--outcome", "ill", "--method", method, *told, "--model", model, "-o", child) == 0
    about = json.loads((child / "bundle.json").read_text("utf-8"))
    assert about["parent"] == {"name": "toy", "sha256": sha256(model / "SHA256SUMS")}
    assert about["holds_for"] == "the toy clinic, 2022"
    assert "performance" not in about, "that of the parent is of other people"
    assert about["recalibration"]["intercept_of_parent"] == pytest.approx(SHIFT, abs=0.4)
    assert run("evaluate", people, "--outcome", "ill", "--model", child, "-o", out) == 0
    assert estimate(out, "observed_expected")["estimate"] == pytest.approx(1, abs=1e-6)
    before, after = load_model(model), load_model(child)
    given = pd.read_csv(people).drop(columns="weight").iloc[10:60]
    assert (after.score(given)["risk"] > before.score(given)["risk"]).mean() > 0.9
    explanation = after.explain(given)
    np.testing.assert_allclose(expit(explanation.log_odds), after.score(given)["risk"], atol=1e-9)
    assert "the toy clinic, 2022" in (child / "card.md").read_text("utf-8")
    assert "# Toy" in (child / "card.md").read_text("utf-8")


def test_a_recalibrated_bundle_has_its_own_name_and_outcome_and_replaces_none_unasked(
    model: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = tmp_path / "child"
    asked = ["recalibrate", people, "--outcome", "ill", "--method", "intercept", "--model", model, "-o", child]
    told = ["--name", "clinic-2022", "--label", "Toy illness", "--definition", "found in two visits"]
    assert run(*asked, *told, "--population", "the toy clinic") == 0
    about = json.loads((child / "bundle.json").read_text("utf-8"))
    assert about["name"] == "clinic-2022"
    outcome = about["outcome"]
    assert (outcome["name"], outcome["label"], outcome["definition"]) == ("ill", "Toy illness", "found in two visits")
    assert outcome["warning"].startswith("mgrisk cannot check whether the people in the file")
    before = sha256(child / "SHA256SUMS")
    capsys.readouterr()
    assert run(*asked) == 3
    assert "output.exists" in capsys.readouterr().err
    assert sha256(child / "SHA256SUMS") == before
    scored = tmp_path / "scored.csv"
    given = pd.read_csv(people).iloc[10:60].drop(columns="weight")
    given.to_csv(tmp_path / "given.csv", index=False)
    assert run("score", tmp_path / "given.csv", "-o", scored, "--model", child) == 0
    summary = json.loads((tmp_path / "scored.csv.summary.json").read_text("utf-8"))
    parent = sha256(model / "SHA256SUMS")
    assert summary["bundle"] == {
        "name": "clinic-2022",
        "version": about["mgrisk"],
        "sha256": before,
        "parent": {"name": "toy", "sha256": parent},
        "holds_for": "the toy clinic",
    }
    assert f"recalibrated from toy ({parent[:12]}) for: the toy clinic" in capsys.readouterr().err
    assert run("explain", tmp_path / "given.csv", "-o", tmp_path / "page.html", "--model", child) == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "Model clinic-2022, recalibrated from toy for the toy clinic; the parent was developed on" in page
    assert "Toy illness" in page
    assert "Toy disease" not in page
    assert run(*asked, "--overwrite") == 0
    assert json.loads((child / "bundle.json").read_text("utf-8"))["name"].startswith("toy-recalibrated-")


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (["--name", "mgrisk-undiagnosed"], "recalibrate.reserved_name"),
        (["--label", "Toy illness"], "recalibrate.half_an_outcome"),
        (["--definition", "found in two visits"], "recalibrate.half_an_outcome"),
    ],
)
def test_half_an_outcome_or_the_name_of_a_released_model_is_refused(
    told: list[str], code: str, model: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["recalibrate", people, "--outcome", "ill", "--method", "intercept", "--model", model, *told]
    assert run(*asked, "-o", tmp_path / "child") == 2
    assert code in capsys.readouterr().err
    assert not (tmp_path / "child").exists()


def test_too_few_cases_leave_no_bundle(model: Path, people: Path, tmp_path: Path) -> None:
    few = pd.read_csv(people)
    few.loc[few.index[few["ill"] == 1][10:], "ill"] = 0
    few.to_csv(tmp_path / "few.csv", index=False)
    child = tmp_path / "child"
    arguments = ("recalibrate", tmp_path / "few.csv", "--outcome", "ill", "--method", "intercept", "--model", model)
    assert run(*arguments, "-o", child) == 3
    assert not child.exists()


def test_what_most_people_lack_is_said_on_the_terminal_and_in_the_summary(
    model: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(people)[["age_years", "sex", "ill"]].assign(Smoker="x")
    frame.to_csv(tmp_path / "least.csv", index=False)
    out = tmp_path / "out"
    assert run("evaluate", tmp_path / "least.csv", "--outcome", "ill", "--model", model, "-o", out) == 0
    printed, summary = capsys.readouterr().out, (out / "summary.md").read_text("utf-8")
    # In Markdown a name is written so that it is shown as it stands.
    for text in (printed, summary.replace("\\_", "_")):
        assert f"excluded: 5 of {len(frame):,} rows (5: rejected by the input schema)" in text
        assert "inputs: 2 of 6 given: age_years, sex" in text
        assert "by their known inputs, 2.0 of 6 on average; with so few inputs almost nobody is found out of it" in text
        assert "columns not used (1): Smoker" in text
    context = json.loads((out / "people.json").read_text("utf-8"))
    assert context["inputs"]["absent"] == ["race_ethnicity", "smoking", "bmi_kg_m2", "magnesium_total_mg"]


HOSTILE = "ill|<b>\x1b[2J\u202e*_x\x9b"


def test_a_heading_commands_neither_the_summary_nor_the_card(model: Path, people: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(people).rename(columns={"ill": HOSTILE, "weight": "<i>\x1b[31m|w"})
    file = tmp_path / "<u>\x1b]0;x\x07\udcff.csv"
    frame.to_csv(file, index=False)
    asked = (file, "--outcome", HOSTILE, "--model", model, "-o")
    assert run("evaluate", *asked, tmp_path / "out") == 0
    assert run("recalibrate", *asked, tmp_path / "child", "--method", "intercept", "--population", "<p>\x1b|") == 0
    assert json.loads((tmp_path / "out" / "people.json").read_text("utf-8"))["outcome"] == HOSTILE
    for path in (*(tmp_path / "out").iterdir(), *(tmp_path / "child").iterdir()):
        if path.suffix != ".npz":
            text = path.read_text("utf-8")
            assert text.replace("\n", "").isprintable(), path.name
            if path.suffix == ".md":
                assert "<" not in text
                assert r"\\u001b\[2J" in text or path.name == "card.md"
                assert r"\|" in text


def test_an_input_that_some_people_lack_is_said_with_their_share(
    model: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(people)
    frame.loc[frame.index % 2 == 0, "smoking"] = ""
    frame.to_csv(tmp_path / "half.csv", index=False)
    child = tmp_path / "child"
    arguments = ("--outcome", "ill", "--method", "intercept", "--model", model, "-o", child)
    assert run("recalibrate", tmp_path / "half.csv", *arguments) == 0
    assert "  missing: smoking 5" in capsys.readouterr().out
    assert "- missing: smoking 5" in (child / "card.md").read_text("utf-8")


@pytest.mark.parametrize("command", ["evaluate", "recalibrate"])
def test_an_outcome_with_a_third_code_is_refused_and_nothing_is_written(
    model: Path, people: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(people)
    frame.loc[::3, "ill"] = 2
    frame.to_csv(tmp_path / "three.csv", index=False)
    method = ("--method", "logistic") if command == "recalibrate" else ()
    out = tmp_path / "out"
    assert run(command, tmp_path / "three.csv", "--outcome", "ill", *method, "--model", model, "-o", out) == 3
    assert "ill has 2, which is neither yes nor no" in capsys.readouterr().err
    assert not out.exists()


def test_visits_of_people_are_not_taken_for_people(model: Path, people: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(people).assign(person_id=lambda f: np.arange(len(f)))
    widths = []
    for name, table in (("once", frame), ("five", pd.concat([frame] * 5))):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        arguments = ("--outcome", "ill", "--model", model, "-o", tmp_path / name)
        assert run("evaluate", tmp_path / f"{name}.csv", *arguments) == 0
        found = estimate(tmp_path / name, "auroc")
        widths.append(found["high"] - found["low"])
    # Five copies of everybody tell nothing new; taken for people, they would halve the interval.
    assert widths[1] > 0.8 * widths[0]


@pytest.mark.parametrize("command", ["evaluate", "recalibrate"])
def test_the_column_of_the_person_may_be_named(
    model: Path, people: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(people).assign(visitor=lambda f: np.arange(len(f)))
    pd.concat([frame] * 3).to_csv(tmp_path / "visits.csv", index=False)
    method = ("--method", "logistic") if command == "recalibrate" else ()
    asked = (command, tmp_path / "visits.csv", "--outcome", "ill", *method, "--model", model, "--person", "visitor")
    assert run(*asked, "-o", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert f"{3 * (len(frame) - 5):,} rows of {len(frame) - 5:,} people" in said
    assert "sampling units are the values of visitor" in said


def test_a_recalibration_is_evaluated_on_people_whom_it_was_not_fitted_on(
    model: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--outcome", "ill", "--method", "logistic", "--psu", "clinic", "--model", model)
    assert run("recalibrate", people, *asked, "-o", tmp_path / "child") == 0
    said = capsys.readouterr().out
    about = json.loads((tmp_path / "child" / "bundle.json").read_text("utf-8"))["recalibration"]
    found = about["cross_fitted"]
    # Each fold by a regression on the others, fitted here by another program.
    frame = pd.read_csv(people).iloc[5:]
    risk = load_model(model).score(frame.drop(columns=["ill", "clinic", "weight"]), reasons=0)["risk"].to_numpy()
    y, clinic, log_odds = frame["ill"].to_numpy(), frame["clinic"].to_numpy(), logit(risk)[:, None]
    fold = fold_of_psus(np.column_stack([np.zeros(40, dtype=int), np.arange(40)]), folds=10, seed=1)[clinic]
    expected = np.empty(len(frame))
    for k in range(10):
        fitted = LogisticRegression(C=np.inf, tol=1e-9).fit(log_odds[fold != k], y[fold != k])
        expected[fold == k] = fitted.predict_proba(log_odds[fold == k])[:, 1]
    ratios = [y[fold == k].sum() / expected[fold == k].sum() for k in range(10)]
    np.testing.assert_allclose(found["observed_expected_by_fold"], ratios, rtol=1e-4)
    of = {(record["model"], record["metric"]): record["estimate"] for record in found["records"]}
    assert of["recalibrated", "log_loss"] == pytest.approx(log_loss(y, expected), rel=1e-5)
    assert of["parent", "log_loss"] == pytest.approx(log_loss(y, risk), rel=1e-5)
    assert of["recalibrated", "observed_expected"] != pytest.approx(1, abs=1e-6)
    assert "1.000" not in said.replace("recalibrated-", "")
    assert f"{min(ratios):.3f} to {max(ratios):.3f} over single folds" in said
    assert "cross-fitted" in (tmp_path / "child" / "card.md").read_text("utf-8")


def test_help_and_page_say_how_many_cases_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["recalibrate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    level, slope = LEAST["intercept"], LEAST["logistic"]
    assert f"intercept needs at least {level} cases and {level} non-cases" in said
    assert f"logistic also updates the slope, and needs {slope} and {slope}" in said
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "recalibrate.md").read_text("utf-8")
    for method, least in LEAST.items():
        assert f"at least {least} cases and {least} non-cases | `--method {method}`" in page


def test_batches_of_a_recalibrated_bundle_are_compared_with_its_own_people(
    model: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = pd.read_csv(people).iloc[5:].drop(columns=["clinic", "weight"])
    older = older[pd.to_numeric(older["age_years"]) > 55]
    older.to_csv(tmp_path / "older.csv", index=False)
    child = tmp_path / "child"
    asked = ("--outcome", "ill", "--method", "intercept", "--model", model, "-o", child)
    assert run("recalibrate", tmp_path / "older.csv", *asked) == 0
    older.drop(columns="ill").to_csv(tmp_path / "batch.csv", index=False)
    psi = {}
    for name, bundle in (("parent", model), ("child", child)):
        assert run("score", tmp_path / "batch.csv", "-o", tmp_path / f"{name}.csv", "--model", bundle) == 0
        summary = json.loads((tmp_path / f"{name}.csv.summary.json").read_text("utf-8"))
        psi[name] = {row["name"]: row["psi"] for row in summary["drift"]}
        assert summary["drift_reference"] == {"parent": "development", "child": "recalibration"}[name]
    assert psi["parent"]["age_years"] > 1
    assert max(value for name, value in psi["child"].items() if name != "risk") < 0.01
    # The risks of the reference are cross-fitted, those of the batch of the whole map.
    assert psi["child"]["risk"] < 0.02
    # Who is in the training distribution goes by the people of the parent.
    inside = [pd.read_csv(tmp_path / f"{name}.csv")["in_domain"].tolist() for name in ("parent", "child")]
    assert inside[0] == inside[1]
    damaged = child / "drift_reference.json"
    damaged.write_text(damaged.read_text("utf-8").replace('"missing"', '"mising"'), "utf-8")
    (child / "SHA256SUMS").write_text(
        "".join(
            f"{sha256(child / line.split()[1])}  {line.split()[1]}\n"
            for line in (child / "SHA256SUMS").read_text("utf-8").splitlines()
        ),
        "utf-8",
    )
    capsys.readouterr()
    assert run("score", tmp_path / "batch.csv", "-o", tmp_path / "again.csv", "--model", child) == 5
    assert "drift_reference.json" in capsys.readouterr().err
