"""Inputs changed in the page give the risks of the bundle for any values and absent inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from tests.integration.conftest import Opened, page_of

from mgrisk.explain.attributions import Explainer
from mgrisk.features.compute import to_columns, to_frame
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.released import released
from mgrisk.pipeline.finished import Run
from mgrisk.report.formats import NBSP, number
from mgrisk.report.people_table import PeopleShown
from mgrisk.report.probe import page_model
from mgrisk.types import Floats

# To nine digits of a log-odds, as the arithmetic of two languages has them.
CLOSE = 1e-9


def some_people(bundle: Bundle, n: int, seed: int) -> Floats:
    """Draw values of each feature, also beyond the training distribution, and what is absent of each person."""
    random = np.random.default_rng(seed)
    values = np.full((n, len(bundle.features)), np.nan)
    keeps = random.random(n)
    for place, feature in enumerate(bundle.features):
        if feature.kind == "category":
            drawn = random.integers(0, len(feature.levels), n).astype(np.float64)
        else:
            quantiles = [*bundle.reference[feature.name]["quantiles"].values()]
            middle = random.choice(quantiles, n)
            drawn = np.clip(middle * random.normal(1.0, 0.1, n), feature.minimum, feature.maximum)
        values[:, place] = np.where(random.random(n) < keeps, drawn, np.nan)
    return values


def shown(bundle: Bundle, values: Floats) -> PeopleShown:
    columns = {feature.name: values[:, place] for place, feature in enumerate(bundle.features)}
    given = to_frame(columns, bundle.features, index=pd.RangeIndex(len(values)))
    frame, X = bundle.encode(given)
    found, explained = bundle.predict(X), Explainer(bundle).explain_encoded(frame, X)
    low, high = bundle.interval(found)
    low_inputs, high_inputs = bundle.interval_of_inputs(found)
    return PeopleShown(
        id_label="person_id", ids=[f"P{place}" for place in range(len(values))], features=bundle.features, data=frame,
        contributions=explained.values, base_values=explained.base_values, risk=expit(found.log_odds),
        low=low, high=high, low_inputs=low_inputs, high_inputs=high_inputs, in_domain=bundle.in_domain(frame),
        reference=bundle.reference, coarse=False, model=page_model(bundle),
    )  # fmt: skip


def answers(page: Any, values: Floats) -> list[dict[str, Any]]:
    """Ask the script of the page itself."""
    given = [[None if np.isnan(value) else float(value) for value in row] for row in values]
    script = """given => given.map(modelOf(JSON.parse(document.getElementById("explorer-data").textContent).model))"""
    found: list[dict[str, Any]] = page.evaluate(script, given)
    return found


def answers_as_the_bundle(page: Any, people: PeopleShown, *, risk_to: float = CLOSE) -> None:
    # What the page carries has derived what follows from the rest.
    completed = to_columns(people.data, people.features)
    found = answers(page, np.column_stack([completed[feature.name] for feature in people.features]))

    def of(name: str) -> Floats:
        return np.array([each[name] for each in found], dtype=np.float64)

    for name, expected in {
        "risk": people.risk, "logOdds": logit(people.risk), "base": people.base_values,
        "contributions": people.contributions, "low": people.low, "high": people.high,
        "lowInputs": people.low_inputs, "highInputs": people.high_inputs,
    }.items():  # fmt: skip
        of_risk = name not in {"base", "contributions"}
        np.testing.assert_allclose(of(name), expected, rtol=0, atol=risk_to if of_risk else CLOSE, err_msg=name)
    assert [not each["outside"] for each in found] == people.in_domain.tolist()
    assert 50 < people.in_domain.sum() < 950


def few(people: PeopleShown, most: int) -> PeopleShown:
    """Keep the first people: a page needs few, and the model in it is the same."""
    rows = ("contributions", "base_values", "risk", "low", "high", "low_inputs", "high_inputs", "in_domain", "ids")
    return replace(people, data=people.data.iloc[:most], **{name: getattr(people, name)[:most] for name in rows})


BUNDLES: dict[str, Callable[[Bundle], Bundle]] = {
    "as released": lambda bundle: bundle,
    # A bundle that was recalibrated has a slope of its own.
    "recalibrated": lambda bundle: replace(
        bundle, calibrator=replace(bundle.calibrator, intercept=-0.3, slope=0.8, df=15)
    ),
    "without refits": lambda bundle: replace(bundle, fitted=replace(bundle.fitted, sampling=None)),
}


@pytest.mark.parametrize("which", BUNDLES)
def test_the_page_answers_as_the_bundle_for_any_values_and_any_pattern_of_absence(
    visit: Callable[..., Opened], tmp_path: Path, which: str
) -> None:
    bundle = BUNDLES[which](read_bundle(released("undiagnosed")))
    values = some_people(bundle, 1000, seed=24)
    people = shown(bundle, values)
    assert len(np.unique(np.isnan(values), axis=0)) > 800
    assert isinstance(bundle.fitted, Additive)
    page = visit(page_of(few(people, 3), tmp_path / "probe.html")).page
    answers_as_the_bundle(page, people)


@pytest.fixture(scope="module")
def released_bundle() -> Bundle:
    return read_bundle(released("undiagnosed"))


@pytest.fixture(scope="module")
def two_people(released_bundle: Bundle) -> PeopleShown:
    """A man and a woman at the median of each number, the woman without a waist."""
    rows = []
    for sex in (1.0, 0.0):
        usual = [
            float(each["usual"]) for each in page_model(released_bundle)["inputs"]
        ]  # fmt: skip
        usual[names(released_bundle).index("sex")] = sex
        rows.append(usual)
    rows[1][names(released_bundle).index("waist_cm")] = np.nan
    return shown(released_bundle, np.array(rows))


def names(bundle: Bundle) -> list[str]:
    return [feature.name for feature in bundle.features]


def opened(visit: Callable[..., Opened], people: PeopleShown, path: Path, who: str) -> Any:
    page = visit(page_of(people, path), fragment=f"#person={who}").page
    page.click("#probe > summary")
    page.wait_for_function("document.getElementById('probe-risk').textContent !== ''")
    return page


def risk_shown(page: Any) -> str:
    return str(page.inner_text("#probe-risk")).split(",")[0].removeprefix("Risk ")


def as_shown(risk: float) -> str:
    return f"{100 * risk:.{2 if risk < 0.01 else 1}f}\u00a0%"


def test_each_control_gives_the_bundle_s_answer_and_its_waterfall(
    visit: Callable[..., Opened], released_bundle: Bundle, two_people: PeopleShown, tmp_path: Path
) -> None:
    page = opened(visit, two_people, tmp_path / "two.html", "P1")
    place = names(released_bundle).index
    assert risk_shown(page) == as_shown(float(two_people.risk[1]))
    assert "1 input is not known and integrated out; if known, the risk would lie from" in page.inner_text(
        "#probe-said"
    )
    assert page.inner_text("#probe .callout").startswith("The model’s answer, not the effect of a change.")
    # A number by keyboard, a number by its slider, a choice, one that is not known any more and one that is.
    page.fill(f"#probe-{place('age_years')}", "71")
    page.eval_on_selector(
        f"#probe-{place('bmi_kg_m2')} ~ input[type=range]",
        "slider => { slider.value = 38.48; slider.dispatchEvent(new Event('input')); }",
    )
    slid = float(page.input_value(f"#probe-{place('bmi_kg_m2')}"))
    page.select_option(f"#probe-{place('hypertension_told')}", label="yes")
    page.fill(f"#probe-{place('waist_cm')}", "118")
    page.check(f"#probe-{place('potassium_mg')} ~ .known input")
    page.select_option(f"#probe-{place('smoking')}", label="not known")
    values = {"sex": "female"} | {
        feature.name: two_people.data[feature.name].iloc[1] for feature in released_bundle.features
    }
    values |= {"age_years": 71.0, "bmi_kg_m2": slid, "hypertension_told": "yes", "waist_cm": 118.0}
    values |= {"potassium_mg": np.nan, "smoking": None}
    _, X = released_bundle.encode(pd.DataFrame([values]))
    found = released_bundle.predict(X)
    risk, (low, high) = float(expit(found.log_odds[0])), released_bundle.interval(found)
    said = page.inner_text("#probe-risk")
    bounds = f"{as_shown(low[0]).removesuffix(NBSP + '%')} to {as_shown(high[0])}"
    assert risk > 3 * two_people.risk[1]
    assert said.startswith(f"Risk {as_shown(risk)}, 90\u00a0% interval {bounds}.")
    assert f"person_id P1: {as_shown(float(two_people.risk[1]))}; now" in said
    assert found.contributions is not None
    for name in ("age_years", "bmi_kg_m2", "hypertension_told", "waist_cm", "sex"):
        effect = number(float(found.contributions[place(name), 0]), digits=2, signed=True)
        assert page.inner_text(f"#probe-{place(name)} ~ output") in {f"▲ {effect}", f"▼ {effect}", effect}
    assert page.inner_text(f"#probe-{place('potassium_mg')} ~ output") == "integrated out"
    assert page.locator("#probe-waterfall rect").count() == len(released_bundle.features)


def test_one_starts_from_a_person_from_the_medians_and_from_age_and_sex_alone(
    visit: Callable[..., Opened], released_bundle: Bundle, two_people: PeopleShown, tmp_path: Path
) -> None:
    page = opened(visit, two_people, tmp_path / "starts.html", "P0")
    features = names(released_bundle)
    usual = np.array([[float(each["usual"]) for each in page_model(released_bundle)["inputs"]]])
    alone = np.where(np.isin(features, ["age_years", "sex"]), usual, np.nan)
    alone[0, features.index("sex")] = 1.0
    for name, values in (("usual", usual), ("required", alone), ("person", two_people)):
        page.click(f"[data-start={name}]")
        expected = values.risk if isinstance(values, PeopleShown) else shown(released_bundle, values).risk
        assert risk_shown(page) == as_shown(float(expected[0]))
        assert page.get_attribute(f"[data-start={name}]", "aria-pressed") == "true"
    # Of a man it is known that he was never pregnant, so that he is as scoring has him.
    page.click("[data-start=required]")
    assert "28 inputs are not known" in page.inner_text("#probe-said")


def test_what_only_women_are_asked_follows_from_sex(
    visit: Callable[..., Opened], released_bundle: Bundle, two_people: PeopleShown, tmp_path: Path
) -> None:
    page = opened(visit, two_people, tmp_path / "sex.html", "P1")
    place = names(released_bundle).index
    control = f"#probe-{place('gestational_diabetes')}"
    page.select_option(control, label="yes")
    page.select_option(f"#probe-{place('sex')}", label="male")
    assert page.is_disabled(control)
    assert page.input_value(control) == "0"
    assert page.inner_text(f"{control} ~ small") == "Follows from Sex."
    page.select_option(f"#probe-{place('sex')}", label="female")
    assert page.is_enabled(control)
    assert page.input_value(control) == "1"


def test_what_is_derived_moves_with_what_it_is_derived_from(
    visit: Callable[..., Opened], released_bundle: Bundle, two_people: PeopleShown, tmp_path: Path
) -> None:
    page = opened(visit, two_people, tmp_path / "derived.html", "P0")
    place = names(released_bundle).index

    def value(name: str) -> float:
        return float(page.input_value(f"#probe-{place(name)}"))

    values = {feature.name: two_people.data[feature.name].iloc[0] for feature in released_bundle.features}
    height, bmi, food, total = (
        values[name] for name in ("height_cm", "bmi_kg_m2", "magnesium_food_mg", "magnesium_total_mg")
    )
    # By steps and through a number that is not known: what counts is where one comes from.
    for typed in ("171", "", "182"):
        page.fill(f"#probe-{place('height_cm')}", typed)
    page.fill(f"#probe-{place('magnesium_food_mg')}", "400")
    # The same weight and the same supplements, as scoring derives them.
    given = values | {
        "height_cm": 182.0, "bmi_kg_m2": np.nan, "weight_kg": bmi * (height / 100) ** 2,
        "magnesium_food_mg": 400.0, "magnesium_total_mg": np.nan, "magnesium_supplement_mg": total - food,
    }  # fmt: skip
    frame, X = released_bundle.encode(pd.DataFrame([given]))
    assert value("bmi_kg_m2") == pytest.approx(frame["bmi_kg_m2"].iloc[0], rel=1e-5)
    assert value("magnesium_total_mg") == pytest.approx(frame["magnesium_total_mg"].iloc[0], rel=1e-5)
    assert risk_shown(page) == as_shown(float(released_bundle.risk(X)[0]))
    # Set by itself it says that the weight is another, and height stays.
    page.fill(f"#probe-{place('bmi_kg_m2')}", "35")
    assert value("height_cm") == 182.0


def test_a_number_that_cannot_be_is_refused_and_an_unlikely_one_is_said_to_be(
    visit: Callable[..., Opened], released_bundle: Bundle, two_people: PeopleShown, tmp_path: Path
) -> None:
    page = opened(visit, two_people, tmp_path / "wrong.html", "P0")
    place = names(released_bundle).index
    age = f"#probe-{place('age_years')}"
    before = risk_shown(page)
    for wrong in ("7", "700", ""):
        page.fill(age, wrong)
        assert page.get_attribute(age, "aria-invalid") == "true"
        assert "A number from 20 to 120 is needed" in page.inner_text(f"{age} ~ small")
        assert risk_shown(page) == before
    # Ages that NHANES codes as one are one.
    page.fill(age, "80")
    oldest = risk_shown(page)
    page.fill(age, "95")
    assert risk_shown(page) == oldest
    page.fill(age, "45")
    assert page.get_attribute(age, "aria-invalid") == "false"
    assert "training distribution" not in page.inner_text("#probe-said")
    page.fill(f"#probe-{place('waist_cm')}", "160")
    assert "Out of the model’s training distribution: " in page.inner_text("#probe-said")
    assert "Waist beside Body mass index" in page.inner_text("#probe-said")


def test_another_person_begins_anew(
    visit: Callable[..., Opened], released_bundle: Bundle, two_people: PeopleShown, tmp_path: Path
) -> None:
    page = opened(visit, two_people, tmp_path / "anew.html", "P1")
    page.fill(f"#probe-{names(released_bundle).index('age_years')}", "80")
    # Who leaves a control does not leave the person.
    page.keyboard.press("Escape")
    assert page.is_visible("#explorer-person")
    page.fill("#explorer-find", "P0")
    assert not page.is_visible("#explorer-person")
    page.press("#explorer-find", "Enter")
    assert risk_shown(page) == as_shown(float(two_people.risk[0]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_filters_columns_controls_and_a_comparison(
    visit: Callable[..., Opened], two_people: PeopleShown, tmp_path: Path, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not here")
    path = page_of(replace(two_people, case=np.array([True, False])), tmp_path / "axe.html")
    page = visit(path, fragment="#person=P1&with=P0", color_scheme=scheme).page
    for label in ("Waist, cm", "Smoking"):
        page.select_option("#explorer-variable", label=label)
        page.click("#explorer-filter")
        page.click("#explorer-column")
    page.click("#probe > summary")
    page.fill("#probe-0", "7")  # not an age of the model
    found = axe.Axe().run(page).response["violations"]
    worst = {each["id"]: [node["html"][:200] for node in each["nodes"][:3]] for each in found
             if each["impact"] in {"serious", "critical"}}  # fmt: skip
    assert worst == {}


# xgboost adds up its leaves in single precision, the page its tables in double precision.
SINGLE = 2e-6


@pytest.mark.parametrize(
    ("which", "refits", "risk_to"), [("xgboost", True, SINGLE), ("xgboost", False, SINGLE), ("shapes", False, CLOSE)]
)
def test_the_page_answers_as_a_bundle_of_trees_or_shapes(
    visit: Callable[..., Opened],
    toy_bundles: dict[str, Bundle],
    tmp_path: Path,
    which: str,
    refits: bool,
    risk_to: float,
) -> None:
    bundle = toy_bundles[which]
    assert bundle.uncertainty is not None or not refits
    bundle = bundle if refits else replace(bundle, uncertainty=None)
    people = shown(bundle, some_people(bundle, 1000, seed=26))
    page = visit(page_of(few(people, 3), tmp_path / "tables.html"), fragment="#person=P0").page
    answers_as_the_bundle(page, people, risk_to=risk_to)
    page.click("#probe > summary")
    assert risk_shown(page) == as_shown(float(people.risk[0]))
    page.click("[data-start=required]")
    assert "the model takes a missing value as a value of its own" in page.inner_text("#probe-said")


def test_the_page_of_a_model_that_is_too_large_says_that_inputs_cannot_be_changed(
    visit: Callable[..., Opened], two_people: PeopleShown, tmp_path: Path
) -> None:
    sentence = "The inputs cannot be changed on this page, because the model is too large."
    page = visit(
        page_of(replace(two_people, model={"absent": sentence}), tmp_path / "trees.html"), fragment="#person=P0"
    ).page
    assert page.inner_text("#probe-absent") == sentence
    assert page.locator("#probe").count() == 0


@pytest.mark.parametrize("which", ["run", "own"])
def test_the_report_of_a_run_and_the_page_of_explain_let_inputs_be_changed(
    visit: Callable[..., Opened], small_run: Run, own_page: Path, which: str
) -> None:
    page = visit(small_run.report if which == "run" else own_page).page
    page.focus("#explorer-table")
    page.keyboard.press("Enter")
    page.click("#probe > summary")
    assert page.inner_text("#probe-risk").startswith("SYNTHETIC: Risk ")
    bundle = read_bundle(small_run.bundle)
    answers_as_the_bundle(page, shown(bundle, some_people(bundle, 1000, seed=25)))
    risk = risk_shown(page)
    page.fill("#probe-0", "78")
    page.fill("#probe-0", "21")
    assert risk_shown(page) != risk
