"""Batches with planted errors: alerts name site and feature, and correct batches give none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.conftest import ToyPeople

from mgrisk.errors import MgRiskError
from mgrisk.model.bundle import Bundle
from mgrisk.score.history import History, append, batch_line, outcomes_line, read_history
from mgrisk.score.input_schema import check
from mgrisk.score.monitor import Limits, Monitored, monitor, read_limits
from mgrisk.score.scorer import Scorer
from mgrisk.score.summary import Summary, Tally

SITES = ("east", "north", "south", "west")
LIMITS = read_limits(None)
BUNDLE = {"name": "toy", "sha256": "0" * 64}


@pytest.fixture(scope="module")
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(toy_bundles["spline_logistic"])


@pytest.fixture(scope="module")
def people(toy_people: ToyPeople) -> Callable[..., pd.DataFrame]:
    """People drawn from the population of the model, older by some years, each at a site."""
    places = toy_people.inside
    weight = toy_people.weight / toy_people.weight.sum()

    def people(seed: int, *, n: int = 2400, older: int = 0) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        frame = toy_people.frame.iloc[random.choice(places, n, p=weight)].reset_index(drop=True)
        older_age = (frame["age_years"] + older).clip(upper=80)
        return frame.assign(age_years=older_age, site=random.choice(SITES, n))

    return people


def history_of(scorer: Scorer, batches: list[pd.DataFrame], folder: Path, *more: dict[str, Any]) -> History:
    path = folder / "history.jsonl"
    path.unlink(missing_ok=True)
    for night, frame in enumerate(batches, start=1):
        answers = scorer.answer(check(frame.drop(columns="site"), scorer.schema_features), reasons=0)
        tally = Tally.of(answers, scorer.reference_bins, frame["site"].tolist())
        summary = Summary.of(scorer, tally, {"bundle": BUNDLE})
        append(path, batch_line(summary, batch=f"night {night}", time=f"2026-11-{night:02d}", by="site"))
    for line in more:
        append(path, line)
    return read_history(path)


def found(monitored: Monitored, batch: str) -> Iterator[tuple[str, str, str, str]]:
    rows = monitored.alerts[monitored.alerts["batch"] == batch]
    return rows[["group", "alert", "feature", "against"]].itertuples(index=False, name=None)


def test_batches_of_one_population_are_beyond_no_limit(
    scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    monitored = monitor(history_of(scorer, [people(seed) for seed in range(5)], tmp_path), LIMITS, by="site")
    assert monitored.alerts.empty, monitored.alerts["says"].tolist()
    assert len(monitored.batches) == 5 * (1 + len(SITES))
    assert set(monitored.shifts["against"]) == {"reference", "others", "before"}


@pytest.mark.parametrize("first", [True, False])
def test_one_site_in_wrong_units_is_found_by_feature_and_site_and_no_other(
    scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path, first: bool
) -> None:
    # All are older than the model's people by far more than a unit could be wrong, as those of a clinic are.
    batches = [people(seed, older=25) for seed in range(1 if first else 4)]
    wrong = batches[-1]["site"] == "north"
    batches[-1].loc[wrong, "bmi_kg_m2"] *= 2.2046
    monitored = monitor(history_of(scorer, batches, tmp_path), LIMITS, by="site")
    alerts = [*found(monitored, f"night {len(batches)}")]
    assert {alert[:3] for alert in alerts if alert[0] and alert[1] == "shift"} == {("north", "shift", "bmi_kg_m2")}
    assert alerts[0][:3] == ("north", "shift", "bmi_kg_m2")
    assert "nearly all values are at one end" in monitored.alerts["says"].iloc[0]
    # The clinic's age stands once, after it, and as what it is.
    (reference,) = [alert for alert in alerts if alert[3] == "reference"]
    assert reference[2] == "age_years"
    if not first:
        others = monitored.alerts[monitored.alerts["against"] == "reference"]["says"]
        assert "as before" in others.iloc[1]


def test_of_two_sites_the_reference_tells_which_is_wrong(
    scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    batch = people(1).assign(site=lambda f: np.where(f.index % 2, "left", "right"))
    batch.loc[batch["site"] == "left", "bmi_kg_m2"] /= 2.2046
    monitored = monitor(history_of(scorer, [batch], tmp_path), LIMITS, by="site")
    shifted = [alert for alert in found(monitored, "night 1") if alert[0] and alert[1] == "shift"]
    assert shifted == [("left", "shift", "bmi_kg_m2", "others")]


def test_a_site_that_always_differs_is_said_to_be_as_before(
    scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    batches = [people(seed) for seed in range(2)]
    for batch in batches:
        batch.loc[batch["site"] == "west", "bmi_kg_m2"] += 8
    monitored = monitor(history_of(scorer, batches, tmp_path), LIMITS, by="site")
    west = monitored.alerts[(monitored.alerts["group"] == "west") & (monitored.alerts["alert"] == "shift")]
    assert west["against"].tolist() == ["others", "others"]
    assert ["as before" in says for says in west["says"]] == [True, False]


def test_codes_and_missing_values_of_one_site_are_found(
    scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    batches = [people(seed) for seed in range(2)]
    east, south = (batches[1]["site"] == site for site in ("east", "south"))
    batches[1]["bmi_kg_m2"] = batches[1]["bmi_kg_m2"].astype(object)
    batches[1].loc[east & (batches[1].index % 3 == 0), "bmi_kg_m2"] = "thirty"
    batches[1].loc[south, "magnesium_total_mg"] = np.nan
    monitored = monitor(history_of(scorer, batches, tmp_path), LIMITS, by="site")
    alerts = set(found(monitored, "night 2"))
    for against in ("others", "before"):
        assert ("east", "code", "bmi_kg_m2", against) in alerts
        assert ("south", "missing", "magnesium_total_mg", against) in alerts
    assert {alert[0] for alert in alerts if alert[0]} == {"east", "south"}
    assert ("east", "rejected", "", "") in alerts
    share = monitored.codes[(monitored.codes["group"] == "east")]["share"]
    assert share.tolist() == [pytest.approx(1 / 3, abs=0.05)]


def test_volume_and_a_site_that_is_gone_are_found(
    scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    batches = [people(seed) for seed in range(4)]
    batches[3] = batches[3][batches[3]["site"] != "south"].iloc[:1000]
    monitored = monitor(history_of(scorer, batches, tmp_path), LIMITS, by="site")
    volume = monitored.alerts[monitored.alerts["alert"] == "volume"]
    assert set(volume["batch"]) == {"night 4"}
    assert volume["group"].iloc[0] == "south"
    assert volume["says"].iloc[0].startswith("0 rows; median")
    assert "" in set(volume["group"])


def test_outcomes_that_come_later_stand_beside_their_batch(
    scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    ratio = {"observed_expected": [1.5, 1.3, 1.7], "auroc": [0.7, 0.6, 0.8]}
    whole, north = ({"n": n, "cases": 30, "metrics": ratio} for n in (2000, 500))
    right = {"n": 500, "cases": 20, "metrics": {"observed_expected": [1.2, 0.9, 1.6]}}
    groups = {"north": north, "south": right}
    line = outcomes_line(whole, groups, bundle=BUNDLE, batch="night 1", time="2026-12-01", by="site")
    history = history_of(scorer, [people(1), people(2)], tmp_path, line)
    monitored = monitor(history, LIMITS, by="site")
    assert [*found(monitored, "night 1")] == [
        ("", "observed_expected", "", ""),
        ("north", "observed_expected", "", ""),
    ]
    first = monitored.batches.set_index(["batch", "group"]).loc[("night 1", "")]
    assert (first["observed_n"], first["observed_expected"], first["auroc_high"]) == (2000, 1.5, 0.8)
    assert np.isnan(monitored.batches.set_index(["batch", "group"]).loc[("night 2", ""), "observed_n"])
    # Outcomes of another model's risks are not those of this one.
    other = outcomes_line(
        whole, {}, bundle={"name": "toy", "sha256": "1" * 64}, batch="night 1", time="2026-12-01", by="site"
    )
    assert monitor(history_of(scorer, [people(1)], tmp_path, other), LIMITS).alerts.empty


def test_an_expected_auroc_that_falls_and_people_out_of_distribution_are_found(
    scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    batches = [people(seed) for seed in range(4)]
    middle = batches[3].assign(age_years=50.0, bmi_kg_m2=28.0, race_ethnicity=np.nan, smoking="never")
    batches[3] = middle.assign(magnesium_total_mg=np.where(middle.index % 10 == 0, 1500.0, 300.0))
    alerts = {alert[1] for alert in found(monitor(history_of(scorer, batches, tmp_path), LIMITS), "night 4")}
    assert {"expected_auroc", "outside"} <= alerts


def test_without_a_column_only_whole_batches_are_compared(
    scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    history = history_of(scorer, [people(1), people(2).assign(site="")], tmp_path)
    assert set(monitor(history, LIMITS).batches["group"]) == {""}
    assert "(not given)" in set(monitor(history, LIMITS, by="site").batches["group"])
    with pytest.raises(MgRiskError) as caught:
        monitor(history, LIMITS, by="ward")
    assert (caught.value.code, caught.value.got) == ("monitor.not_by", "site")


def test_limits_may_be_others(scorer: Scorer, people: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    batch = people(1)
    batch.loc[batch["site"] == "north", "bmi_kg_m2"] *= 2.2046
    history = history_of(scorer, [batch], tmp_path)
    file = tmp_path / "limits.toml"
    file.write_text("psi = 100\nks = 2\noutside = 1\nmissing_more = 1.0\n", "utf-8")
    assert monitor(history, read_limits(file), by="site").alerts.empty
    assert read_limits(file).rejected == LIMITS.rejected
    for text, told in (("pis = 0.3", "pis"), ("psi = 'much'", "psi"), ("rejected = 5", "rejected"), ("psi = 0", "psi")):
        file.write_text(text, "utf-8")
        with pytest.raises(MgRiskError) as caught:
            read_limits(file)
        assert caught.value.code == "limits.bad_limit"
        assert told in caught.value.message
    assert set(Limits.model_fields) == set(LIMITS.model_dump())
