from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mgrisk.cohort.outcomes import OUTCOMES
from mgrisk.config.pipeline_file import load
from mgrisk.errors import MgRiskError
from mgrisk.features.foods import food_groups
from mgrisk.features.registry import computed_from, features
from mgrisk.features.summary import gather, summary_of
from mgrisk.nhanes import synthetic, xpt
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.nhanes.cycles import LOOKUPS, Cycle
from mgrisk.nhanes.store import Store
from mgrisk.nhanes.synthetic import CYCLES, Truth, write_cohort
from mgrisk.nhanes.synthetic.people import adjust
from mgrisk.nhanes.synthetic.recalls import RECORDS, apportion
from mgrisk.storage.files import sha256

PIPELINES = sorted((Path(__file__).parents[3] / "pipelines").glob("*.toml"))
RUNS = [load(path) for path in PIPELINES]
USED = computed_from(features({name for run in RUNS for name in run.model.features}))
NEEDED = {source for feature in USED for source in feature.sources}
NEEDED |= {name for run in RUNS for name in OUTCOMES[run.cohort.outcome].variables}
NEEDED |= {"RIDSTATR", "RIDEXPRG", "SDMVPSU", "SDMVSTRA", "WTINT2YR", "WTMEC2YR", "WTSAF2YR", "WTDRD1", "WTDR2D"}
PULSES = ("BPXOPLS1", "BPXOPLS2", "BPXOPLS3")
# What pipelines may read next.
SOON = {
    "DR1DAY", "DR2DAY", "DR1TFIBE", "DR2TFIBE", "DR1TCALC", "DR2TCALC", "DR1TPOTA", "DR2TPOTA", "DS1TMAGN", "DS2TMAGN",
    "LBXSCR", "LBXTR", "LBXTC", "LBDHDD", "LBXGLT", "WTSOG2YR",
    "DMDEDUC2", "DMDBORN4", "WHD020", "WHD050", "WHD110", "WHD120", "BMXHIP",
    "BPXDI1", "BPXDI2", "BPXDI3", "BPXODI1", "BPXODI2", "BPXODI3", "BMXLEG", "BPXPLS", *PULSES,
    "ALQ101", "ALQ110", "ALQ120Q", "ALQ120U", "ALQ111", "ALQ121", "ALQ130_FROM_2005",
    "DIQ050", "DIQ070", "DID040", "DIQ160", "BPQ040A", "RHQ131", "RHQ171", "RHQ172",
}  # fmt: skip
PEOPLE = 800
READINGS = [*(f"BPXSY{place}" for place in (1, 2, 3, 4)), *(f"BPXOSY{place}" for place in (1, 2, 3))]


# Answers other than the codes for refused and don't know (codebook pages of CDC/NCHS).
ANSWERS: Mapping[str, set[float]] = {
    "RIDSTATR": {1, 2},
    "RIAGENDR": {1, 2},
    "RIDRETH1": {1, 2, 3, 4, 5},
    "RIDRETH3": {1, 2, 3, 4, 6, 7},
    "RIDEXPRG": {1, 2, 3},
    "SDMVPSU": {1, 2},
    "DIQ010": {1, 2, 3},
    "BPQ020": {1, 2},
    "BPQ050A": {1, 2},
    "MCQ300C": {1, 2},
    "RHQ162": {1, 2, 3},
    "SMQ020": {1, 2},
    "SMQ040": {1, 2, 3},
    **{name: {1, 2} for name in ("PAQ605", "PAQ620", "PAQ635", "PAQ650", "PAQ665", "DSD010", "DSD010AN")},
    **{name: {1, 2, 3, 4, 5, 6, 7} for name in ("PAQ610", "PAQ625", "PAQ640", "PAQ655", "PAQ670")},
    "DR1DRSTZ": {1, 2, 4, 5},
    "DR2DRSTZ": {1, 2, 4, 5},
    "DR1DAY": {1, 2, 3, 4, 5, 6, 7},
    "DR2DAY": {1, 2, 3, 4, 5, 6, 7},
    **{name: {1, 2} for name in ("DIQ050", "DIQ070", "DIQ160")},
}
RANGES = {
    "RIDAGEYR": (0, 80),
    "INDFMPIR": (0, 5),
    "SLD012": (2, 14),
    "PAD680": (0, 1380),
    "BMXWT": (2, 300),
    "BMXHT": (60, 210),
    "BMXBMI": (11, 90),
    "BMXWAIST": (35, 190),
    "BMXLEG": (20, 56),
    "LBXGH": (3, 18),
    "LBXGLU": (20, 600),
    "LBXIN": (0.1, 700),
    **dict.fromkeys(READINGS, (60, 240)),
    **dict.fromkeys(["BPXPLS", *PULSES], (34, 224)),
    **dict.fromkeys(("PAD615", "PAD630", "PAD645", "PAD660", "PAD675"), (10, 1200)),
}


WRITTEN = [each for each in VARIABLES.values() if each.name in NEEDED | SOON | {*ANSWERS, *RANGES} and not each.records]
TABLES = sorted({variable.table for variable in WRITTEN})
KEPT_RECORDS = sorted({each.table for each in VARIABLES.values() if each.records} & set(RECORDS))


def tables_of(cycle: Cycle) -> list[str]:
    """Return the tables of a cycle; of two in one file, the first."""
    files = {cycle.table(table): table for table in reversed(TABLES) if table not in cycle.absent}
    return sorted(files.values())


def own_names(cycle: Cycle) -> dict[str, str]:
    """Return the variables' own names by those of a cycle."""
    return {name: each.name for each in WRITTEN if (name := each.name_in(cycle))}


@dataclass(frozen=True)
class Written:
    folder: Path
    truth: Truth

    def table(self, cycle: Cycle, name: str) -> pd.DataFrame:
        return xpt.read(self.folder / cycle.path(name))

    def joined(self) -> pd.DataFrame:
        """Everyone of every cycle, canonical names, next to the truth."""
        parts = []
        for cycle in CYCLES:
            frame = self.table(cycle, "DEMO")
            for name in tables_of(cycle):
                if name != "DEMO":
                    frame = frame.merge(self.table(cycle, name), on="SEQN", how="left", validate="1:1")
            parts.append(frame.rename(columns=own_names(cycle)).assign(first=cycle.first))
        people = pd.concat(parts, ignore_index=True)
        return people.merge(self.truth.frame(), on="SEQN", validate="1:1")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("synthetic")
    return Written(folder, write_cohort(folder, people_per_cycle=PEOPLE, seed=7))


@pytest.fixture(scope="module")
def people(cohort: Written) -> pd.DataFrame:
    return cohort.joined()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("large")
    return Written(folder, write_cohort(folder, people_per_cycle=8000))


def test_the_same_seed_gives_the_same_bytes(cohort: Written, tmp_path: Path) -> None:
    again = write_cohort(tmp_path / "again", people_per_cycle=PEOPLE, seed=7)
    assert sha256(tmp_path / "again") == sha256(cohort.folder)
    pd.testing.assert_frame_equal(again.frame(), cohort.truth.frame())


def test_another_seed_gives_other_people(cohort: Written, tmp_path: Path) -> None:
    write_cohort(tmp_path, people_per_cycle=PEOPLE, seed=8, cycles=CYCLES[:1])
    path = CYCLES[0].path("DEMO")
    assert sha256(tmp_path / path) != sha256(cohort.folder / path)


def test_a_cycle_does_not_depend_on_the_other_cycles(cohort: Written, tmp_path: Path) -> None:
    write_cohort(tmp_path, people_per_cycle=PEOPLE, seed=7, cycles=CYCLES[-1:])
    for table in tables_of(CYCLES[-1]):
        path = CYCLES[-1].path(table)
        assert sha256(tmp_path / path) == sha256(cohort.folder / path)


@pytest.mark.parametrize("cycle", CYCLES, ids=lambda cycle: cycle.years)
def test_every_variable_in_use_is_there_under_the_name_of_its_cycle(cohort: Written, cycle: Cycle) -> None:
    for table in tables_of(cycle):
        named = {name: each.table for each in WRITTEN if (name := each.name_in(cycle))}
        here = {name for name, of in named.items() if cycle.table(of) == cycle.table(table)}
        expected = {"SEQN"} | here
        frame = cohort.table(cycle, table)
        assert set(frame.columns) >= expected
        assert frame["SEQN"].is_unique
        assert len(frame) > 0


def test_tables_and_lists_that_the_pipelines_summarise_are_there(cohort: Written) -> None:
    summaries = [summary_of(feature.summary) for feature in USED if feature.summary]
    for cycle in CYCLES:
        for summary in summaries:
            # The list of activities before 2007 is a table that a cycle may lack, and these do.
            assert summary.partly or set(summary.records) <= set(KEPT_RECORDS)
            for table, columns in summary.lists.items():
                path = LOOKUPS.get(table, cycle.path(table))
                assert set(columns) <= {each.name for each in xpt.header(cohort.folder / path).variables}


def test_every_table_and_the_folder_say_synthetic(cohort: Written) -> None:
    assert "NOT REAL PEOPLE" in (cohort.folder / synthetic.NOTE).read_text()
    written = list(cohort.folder.rglob("*.xpt"))
    assert len(written) > 100
    for path in written:
        assert xpt.header(path).label.startswith("SYNTHETIC")


def test_every_file_of_a_cycle_is_one_that_nhanes_has(cohort: Written) -> None:
    written = {path.relative_to(cohort.folder).as_posix() for path in cohort.folder.rglob("*") if path.is_file()}
    known = {each.table for each in VARIABLES.values()} | {"DRXFCD"}
    of_cycles = {cycle.path(table) for cycle in CYCLES for table in known if table not in cycle.absent}
    assert written <= of_cycles | set(LOOKUPS.values()) | {synthetic.NOTE}


def test_no_sequence_number_comes_twice_or_could_be_a_real_one(people: pd.DataFrame) -> None:
    assert people["SEQN"].is_unique
    assert people["SEQN"].min() > 999_999
    assert len(people) == PEOPLE * len(CYCLES)


def test_answers_are_codes_that_nhanes_uses(people: pd.DataFrame) -> None:
    for name, answers in ANSWERS.items():
        found = set(people[name].dropna().unique())
        assert found <= answers | VARIABLES[name].missing, name
        assert answers - found <= {3.0, 4.0}, name  # rare ones may be absent from a small cohort


def test_measurements_lie_in_the_ranges_of_nhanes(people: pd.DataFrame) -> None:
    for name, (low, high) in RANGES.items():
        values = people[name][~people[name].isin(VARIABLES[name].missing)].dropna()
        assert values.between(low, high).all(), name


def test_refused_and_unknown_answers_occur(large: Written) -> None:
    refused = sum(
        int(large.table(cycle, table)[name].isin(VARIABLES[name].missing).sum())
        for cycle in CYCLES
        for table, name in (("MCQ", "MCQ300C"), ("PAQ", "PAD680"), ("BPQ", "BPQ020"))
    )
    adults = (large.truth.frame()["risk_undiagnosed"].notna()).sum()
    assert 0.01 < refused / adults < 0.04


def test_ages_and_incomes_are_top_coded(people: pd.DataFrame) -> None:
    assert people["RIDAGEYR"].max() == 80
    assert (people["INDFMPIR"] == 5).mean() > 0.05
    assert people["INDFMPIR"].isna().mean() == pytest.approx(0.095, abs=0.02)


@pytest.mark.parametrize(
    ("question", "days", "minutes"),
    [
        ("PAQ605", "PAQ610", "PAD615"),
        ("PAQ620", "PAQ625", "PAD630"),
        ("PAQ635", "PAQ640", "PAD645"),
        ("PAQ650", "PAQ655", "PAD660"),
        ("PAQ665", "PAQ670", "PAD675"),
    ],
)
def test_days_and_minutes_only_of_those_who_do_it(people: pd.DataFrame, question: str, days: str, minutes: str) -> None:
    assert (people[days].notna() == (people[question] == 1)).all()
    assert not people.loc[people[question] != 1, minutes].notna().any()
    assert (people[minutes].notna() == people[days].between(1, 7)).all()


def test_skip_patterns_of_the_other_questions(people: pd.DataFrame) -> None:
    age, woman = people["RIDAGEYR"], people["RIAGENDR"] == 2
    examined = people["RIDSTATR"] == 2
    first_asked = people["first"].map(lambda first: 20 if first < 2013 else 18)
    assert (people["SMQ040"].notna() == (people["SMQ020"] == 1)).all()
    assert (people["SMQ020"].notna() == (age >= first_asked)).all()
    assert (people["RIDEXPRG"].notna() == (woman & age.between(20, 44))).all()
    assert (people.loc[people["RIDEXPRG"].notna() & ~examined, "RIDEXPRG"] == 3).all()
    assert (woman & (age >= 20) & examined)[people["RHQ162"].notna()].all()
    assert people.loc[(people["RIDEXPRG"] == 1), "RHQ162"].notna().all()
    assert (people["MCQ300C"].notna() == (age >= 20)).all()
    assert (people["BPQ020"].notna() == (age >= 16)).all()
    assert (people["DIQ010"].notna() == (age >= 1)).all()
    assert people.loc[(people["DSD010"] == 2) & (people["DSD010AN"] == 2), "DSQTMAGN"].isna().all()
    asked = age >= people["first"].map(lambda first: 18 if first >= 2017 else 12)
    assert (people["PAQ605"].notna() == asked).all()


def test_blood_pressure_is_measured_from_eight_years_on_and_medicine_asked_of_those_told_to_take_it(
    people: pd.DataFrame,
) -> None:
    measured = (people["RIDSTATR"] == 2) & (people["RIDAGEYR"] >= 8)
    ear, machine = READINGS[:4], READINGS[4:]
    assert people.loc[~measured, READINGS].isna().all(axis=None)
    assert people.loc[people["first"] < 2017, machine].isna().all(axis=None)
    assert 0.85 < people.loc[measured, "BPXSY2"].notna().mean() < 0.97
    assert 0.80 < people.loc[measured & (people["first"] == 2017), "BPXOSY1"].notna().mean() < 0.92
    assert (people[ear].stack().dropna() % 2 == 0).all()
    # A fourth reading is made where another was missed.
    assert people.loc[people["BPXSY4"].notna(), ear[:3]].isna().any(axis=1).all()
    assert people["BPXSY4"].notna().any()
    adults = people[people["RIDAGEYR"] >= 20]
    assert 0.85 < adults["BPXSY2"].corr(adults["BPXSY3"]) < 0.98
    assert adults["BPXSY2"].corr(adults["RIDAGEYR"]) > 0.3
    asked = people["BPQ050A"].notna()
    assert (people.loc[asked, "BPQ020"] == 1).all()
    assert 0.8 < asked.sum() / (people["BPQ020"] == 1).sum() < 0.95


def test_insulin_is_measured_with_glucose_and_rises_with_weight(cohort: Written, people: pd.DataFrame) -> None:
    assert "LBXIN" in cohort.table(CYCLES[0], "GLU")
    assert "LBXIN" not in cohort.table(CYCLES[-1], "GLU")
    assert people.loc[people["LBXGLU"].isna(), "LBXIN"].isna().all()
    assert 0.95 < people.loc[people["LBXGLU"].notna(), "LBXIN"].notna().mean() < 0.99
    adults = people[(people["RIDAGEYR"] >= 20) & (people["state"] != "diagnosed")]
    assert 0.35 < np.log(adults["LBXIN"]).corr(adults["BMXBMI"]) < 0.75


def test_measurements_only_of_the_examined(people: pd.DataFrame) -> None:
    not_examined = people["RIDSTATR"] == 1
    assert 0.02 < not_examined.mean() < 0.08
    measured = ["BMXWT", "BMXBMI", "LBXGH", "LBXGLU", "WTSAF2YR", "DR1DRSTZ", "DR2DRSTZ", "RHQ162"]
    assert people.loc[not_examined, measured].isna().all(axis=None)
    assert (people.loc[not_examined, "WTMEC2YR"] == 0).all()
    assert (people.loc[~not_examined, "WTMEC2YR"] > 0).all()
    assert people.loc[people["RIDAGEYR"] < 12, ["LBXGH", "LBXGLU"]].isna().all(axis=None)


def test_recalls_have_totals_where_they_are_reliable_and_weights_where_they_count(
    people: pd.DataFrame,
) -> None:
    for day in (1, 2):
        reliable = people[f"DR{day}DRSTZ"] == 1
        for nutrient in ("MAGN", "KCAL", "FIBE", "CALC", "POTA"):
            assert (people[f"DR{day}T{nutrient}"].notna() == reliable).all()
        assert (people[f"DR{day}DAY"].notna() == people[f"DR{day}DRSTZ"].isin([1, 2, 4])).all()
    assert ((people["WTDRD1"] > 0) == people["DR1DRSTZ"].isin([1, 4])).all()
    both = people["DR1DRSTZ"].isin([1, 4]) & people["DR2DRSTZ"].isin([1, 4])
    assert ((people["WTDR2D"] > 0) == both).all()
    before = people["first"] < 2013
    assert (people.loc[before, "WTDRD1"].dropna() > 0).all()
    assert (people.loc[~before & (people["DR1DRSTZ"] == 5), "WTDRD1"] == 0).all()


def test_fasting_weights_belong_to_half_of_the_examined_and_have_glucose(people: pd.DataFrame) -> None:
    eligible = (people["RIDSTATR"] == 2) & (people["RIDAGEYR"] >= 12)
    assert 0.4 < people.loc[eligible, "WTSAF2YR"].notna().mean() < 0.55
    assert people.loc[people["WTSAF2YR"] > 0, "LBXGLU"].notna().all()
    assert 0.03 < (people["WTSAF2YR"] == 0).sum() / people["WTSAF2YR"].notna().sum() < 0.15


def test_weights_of_every_part_add_up_to_the_population(people: pd.DataFrame) -> None:
    for _, cycle in people.groupby("first"):
        population = cycle["WTINT2YR"].sum()
        assert 290e6 < population < 330e6
        for weight in ("WTMEC2YR", "WTDRD1", "WTDR2D"):
            assert cycle[weight].sum() == pytest.approx(population, rel=1e-9)
        twelve = cycle.loc[cycle["RIDAGEYR"] >= 12, "WTMEC2YR"].sum()
        assert cycle["WTSAF2YR"].sum() == pytest.approx(twelve, rel=1e-9)


def test_selection_is_unequal_so_that_weights_matter(people: pd.DataFrame) -> None:
    black = people["RIDRETH1"] == 4
    weighted = np.average(black, weights=people["WTINT2YR"])
    assert black.mean() > 1.5 * weighted
    assert people["WTINT2YR"].std() / people["WTINT2YR"].mean() > 0.7


def test_strata_are_unique_across_cycles_and_have_two_psus(people: pd.DataFrame) -> None:
    assert (people.groupby("SDMVSTRA")["first"].nunique() == 1).all()
    assert (people.groupby("SDMVSTRA")["SDMVPSU"].nunique() == 2).all()
    assert (people.groupby("first")["SDMVSTRA"].nunique() == 15).all()
    assert people["SDMVSTRA"].min() == 59
    assert people["SDMVSTRA"].max() == 148


def test_clusters_are_more_alike_than_chance(large: Written) -> None:
    people = large.joined()
    adults = people[(people["RIDAGEYR"] >= 20) & people["BMXBMI"].notna()]
    means = adults.groupby(["SDMVSTRA", "SDMVPSU"])["BMXBMI"].agg(["mean", "sem"])
    assert means["mean"].var() > 1.3 * (means["sem"] ** 2).mean()


def test_the_laboratory_label_agrees_with_the_true_state(people: pd.DataFrame) -> None:
    both = people[people["LBXGH"].notna() & people["LBXGLU"].notna() & (people["state"] != "diagnosed")]
    label = (both["LBXGH"] >= 6.5) | (both["LBXGLU"] >= 126)
    assert (label == (both["state"] == "undiagnosed")).all()
    assert label.sum() > 20
    # One value alone may miss it but never invents it.
    either = people[(people["LBXGH"] >= 6.5) | (people["LBXGLU"] >= 126)]
    assert (either["state"] != "none").all()
    told = people["DIQ010"] == 1
    assert (people.loc[told, "state"] == "diagnosed").all()
    assert not (people["state"] == "diagnosed")[people["DIQ010"].isin([2, 3])].any()


def test_the_true_risk_is_calibrated_and_discriminates_as_in_nhanes(large: Written) -> None:
    people = large.truth.frame()
    at_risk = people[people["risk_undiagnosed"].notna() & (people["state"] != "diagnosed")]
    event = at_risk["state"] == "undiagnosed"
    expected = at_risk["risk_undiagnosed"].sum()
    assert abs(event.sum() - expected) < 3.5 * np.sqrt(expected)
    assert 0.77 < roc_auc_score(event, at_risk["risk_undiagnosed"]) < 0.84


def test_prevalences_are_those_of_us_adults(large: Written) -> None:
    people = large.joined()
    adults = people[people["RIDAGEYR"] >= 20]
    weight = adults["WTINT2YR"]
    assert 0.09 < np.average(adults["state"] == "diagnosed", weights=weight) < 0.12
    assert 0.035 < np.average(adults["state"] == "undiagnosed", weights=weight) < 0.048
    assert 0.015 < np.average(adults["DIQ010"] == 3, weights=weight) < 0.035


def test_recalls_are_unbiased_and_as_noisy_as_stated(large: Written) -> None:
    people = large.joined()
    ok = people["DR1TMAGN"].notna() & (people["RIDAGEYR"] >= 20)
    ratio = people.loc[ok, "DR1TMAGN"] / people.loc[ok, "usual_magnesium_mg"]
    # Recalls are made at weekends more often than people live them; the weights put that right.
    weekend = people.loc[ok, "DR1DAY"].isin([1, 6, 7]).to_numpy()
    share = np.where(weekend, 3 / 7 / weekend.mean(), 4 / 7 / (1 - weekend.mean()))
    assert np.average(ratio, weights=share) == pytest.approx(1.0, abs=0.01)
    assert np.log(ratio).std() == pytest.approx(large.truth.recall_log_sd, abs=0.01)
    assert 0.30 < np.log(people.loc[ok, "usual_magnesium_mg"]).std() < 0.38


def test_days_of_the_week_are_uneven_and_the_weights_put_them_right(large: Written) -> None:
    people = large.joined()
    for day, weight in ((1, "WTDRD1"), (2, "WTDR2D")):
        counted = people[people[weight] > 0]
        weekend = counted[f"DR{day}DAY"].isin([1, 6, 7])
        assert abs(weekend.mean() - (0.65 if day == 1 else 0.27)) < 0.03
        assert np.average(weekend, weights=counted[weight]) == pytest.approx(3 / 7, abs=1e-9)
    both = people["DR2DRSTZ"] == 1
    assert (people.loc[both, "DR1DAY"] != people.loc[both, "DR2DAY"]).all()


def test_the_weekend_changes_what_is_eaten_as_the_truth_says(large: Written) -> None:
    people = large.joined()
    ok = people["DR1TMAGN"].notna() & (people["RIDAGEYR"] >= 20)
    logs = np.log(people.loc[ok, "DR1TMAGN"] / people.loc[ok, "usual_magnesium_mg"])
    weekend = people.loc[ok, "DR1DAY"].isin([1, 6, 7])
    error = 0.36 * np.sqrt(1 / weekend.sum() + 1 / (~weekend).sum())
    assert abs(logs[weekend].mean() - logs[~weekend].mean() - large.truth.weekend_log) < 4 * error


def test_nutrients_go_with_magnesium_and_energy_as_in_nhanes(large: Written) -> None:
    people = large.joined()
    ok = people["DR1TMAGN"].notna() & (people["RIDAGEYR"] >= 20)
    ranks = people.loc[ok, ["DR1TMAGN", "DR1TFIBE", "DR1TCALC", "DR1TPOTA"]].corr(method="spearman")["DR1TMAGN"]
    # NHANES 2007-2018: 0.77, 0.63 and 0.85.
    assert ranks.iloc[1:].tolist() == pytest.approx([0.77, 0.63, 0.85], abs=0.04)
    assert people.loc[ok, "DR1TFIBE"].corr(people.loc[ok, "DR2TFIBE"], method="spearman") == pytest.approx(
        0.44, abs=0.05
    )


@pytest.mark.parametrize("day", [1, 2])
def test_foods_add_up_to_the_day_exactly_and_belong_to_all_groups(cohort: Written, day: int) -> None:
    for cycle in CYCLES:
        foods, totals = cohort.table(cycle, f"DR{day}IFF"), cohort.table(cycle, f"DR{day}TOT").set_index("SEQN")
        reliable = totals[totals[f"DR{day}DRSTZ"] == 1]
        sums = foods.groupby("SEQN")[f"DR{day}IMAGN"].sum()
        assert sums.sort_index().equals(reliable[f"DR{day}TMAGN"].sort_index())
        assert 13 < len(foods) / len(reliable) < 17
        groups = food_groups().assign(cohort.table(cycle, "DRXFCD"))
        assert set(groups["group"]) == set(food_groups().labels)
        assert set(foods[f"DR{day}IFDCD"].astype(int)) <= set(groups.index)


def test_products_add_up_to_the_total_of_supplements(cohort: Written) -> None:
    for cycle in CYCLES:
        taken, totals = cohort.table(cycle, "DSQIDS"), cohort.table(cycle, "DSQTOT").set_index("SEQN")
        amount = (taken["DSQIMAGN"] * taken["DSD103"] / 30).groupby(taken["SEQN"]).sum(min_count=1).dropna()
        total = totals["DSQTMAGN"].dropna()
        pd.testing.assert_series_equal(amount, total, check_names=False, check_exact=False, atol=0.0051, rtol=0)
        assert ((totals["DSD010"] == 1) | (totals["DSD010AN"] == 1))[taken["SEQN"].unique()].mean() > 0.99


def test_sources_and_forms_are_summarised_as_from_nhanes(cohort: Written) -> None:
    store = Store(source=str(cohort.folder))
    chosen = features(["magnesium_from_nuts_mg", "magnesium_oxide_mg"])
    made = gather(store, cycles=CYCLES[-2:], chosen=chosen, names=["RIDAGEYR"])
    assert made.synthetic
    found = made.frame[["magnesium_from_nuts_mg", "magnesium_oxide_mg"]]
    assert (found.notna().mean() > 0.8).all()
    assert (found.max() > 50).all()


def test_whole_totals_are_apportion_where_no_part_weighs_anything() -> None:
    assert apportion(np.array([2, 0]), parts=np.zeros(4), person=np.array([0, 0, 0, 1])).tolist() == [1, 1, 0, 0]


def test_supplements_on_recalled_days_are_those_of_the_month(people: pd.DataFrame) -> None:
    some = people["DS1TMAGN"].notna()
    assert people.loc[some, "DSQTMAGN"].notna().all()
    assert (people.loc[some, "DS1TMAGN"] >= people.loc[some, "DSQTMAGN"] - 0.01).all()
    assert people.loc[~people["DR1DRSTZ"].isin([1, 4]), "DS1TMAGN"].isna().all()
    recalled = (people["DR1DRSTZ"] == 1) & (people["RIDAGEYR"] >= 20)
    assert 0.15 < some[recalled].mean() < 0.26


def test_care_of_diabetes_is_asked_of_those_told(people: pd.DataFrame) -> None:
    told = people["DIQ010"] == 1
    assert (people["DID040"].notna() == told).all()
    ages = people.loc[told & (people["DID040"] < 100), ["DID040", "RIDAGEYR"]]
    assert (ages["DID040"] <= ages["RIDAGEYR"]).all()
    assert not (people["DIQ050"] == 1)[~told].any()
    assert 0.2 < (people.loc[told, "DIQ050"] == 1).mean() < 0.4
    assert people.loc[told | (people["DIQ010"] == 3), "DIQ070"].notna().all()
    assert (people["DIQ160"].notna() == ((people["DIQ010"] == 2) & (people["RIDAGEYR"] >= 12))).all()


def test_weights_are_remembered_from_the_ages_that_are_asked(people: pd.DataFrame) -> None:
    for question, first in (("WHD020", 16), ("WHD050", 16), ("WHD110", 36), ("WHD120", 27)):
        assert (people[question].notna() == (people["RIDAGEYR"] >= first)).all()
    known = (people[["WHD020", "WHD050"]] < 7777).all(axis=1)
    assert people.loc[known, "WHD020"].corr(people.loc[known, "WHD050"]) > 0.9


def test_kidney_and_blood_fats_are_of_the_examined(people: pd.DataFrame) -> None:
    assert people.loc[people["LBXGLU"].isna(), "LBXTR"].isna().all()
    assert people.loc[people["LBXGLT"].notna(), "WTSOG2YR"].gt(0).all()
    assert (people.loc[people["LBXGLT"].notna(), "state"] != "diagnosed").all()
    for _, cycle in people[people["first"] < 2017].groupby("first"):
        assert cycle["WTSOG2YR"].sum() == pytest.approx(cycle["WTSAF2YR"].sum(), rel=1e-9)


def test_medicines_agree_with_what_people_say_they_take(cohort: Written) -> None:
    drugs = xpt.read(cohort.folder / LOOKUPS["RXQ_DRUG"]).set_index("RXDDRGID")
    for cycle in CYCLES:
        rows = cohort.table(cycle, "RXQ_RX")
        assert set(rows["SEQN"]) == set(cohort.table(cycle, "DEMO")["SEQN"])
        assert rows.loc[rows["RXDUSE"] != 1, "SEQN"].is_unique
        taken = rows[rows["RXDUSE"] == 1]
        assert set(taken["RXDDRGID"]) <= set(drugs.index)
        pressure = set(taken.loc[taken["RXDDRGID"].map(drugs["RXDDCI1A"]) == 40, "SEQN"])
        answers = cohort.table(cycle, "BPQ")
        said = set(answers.loc[answers["BPQ050A"] == 1, "SEQN"])
        # Who refuses the list of medicines has none in it.
        assert (rows.loc[rows["SEQN"].isin(said - pressure), "RXDUSE"] == 9).all()


def test_diastolic_readings_lie_below_the_systolic_ones(people: pd.DataFrame) -> None:
    for low, high in (("BPXDI", "BPXSY"), ("BPXODI", "BPXOSY")):
        for reading in (1, 2, 3):
            assert (people[f"{low}{reading}"].notna() == people[f"{high}{reading}"].notna()).all()
            both = people[people[f"{low}{reading}"].notna()]
            assert (both[f"{low}{reading}"] < both[f"{high}{reading}"]).all()
    adults = people[people["RIDAGEYR"] >= 20]
    assert adults["BPXDI2"].mean() == pytest.approx(71, abs=3)
    assert (people["BPXDI1"].dropna() % 2 == 0).all()


def test_the_pulse_is_that_of_people_whose_pressure_was_read(people: pd.DataFrame) -> None:
    ear, machine = READINGS[:4], READINGS[4:]
    assert (people["BPXPLS"].notna() == people[ear].notna().any(axis=1)).all()
    assert (people["BPXPLS"].dropna() % 2 == 0).all()
    for pulse, reading in zip(PULSES, machine, strict=True):
        assert people.loc[people[reading].isna(), pulse].isna().all()
        assert 0.8 < people.loc[people[reading].notna(), pulse].notna().mean() < 0.91
    adults = people[people["RIDAGEYR"] >= 20]
    women = adults["RIAGENDR"] == 2
    assert 1.5 < adults.loc[women, "BPXPLS"].mean() - adults.loc[~women, "BPXPLS"].mean() < 4.5
    assert people.loc[people["RIDAGEYR"] < 12, "BPXPLS"].mean() > adults["BPXPLS"].mean() + 5
    # NHANES 2017-2018: correlation 0.84 and 0.95, and 1.7 beats/min less.
    assert adults["BPXPLS"].corr(adults["BPXOPLS2"]) == pytest.approx(0.84, abs=0.05)
    assert adults["BPXOPLS1"].corr(adults["BPXOPLS2"]) == pytest.approx(0.95, abs=0.02)
    assert (adults[[*PULSES]].mean(axis=1) - adults["BPXPLS"]).mean() == pytest.approx(-1.7, abs=0.8)


def test_upper_legs_are_measured_from_eight_years_on_and_grow_with_height(people: pd.DataFrame) -> None:
    asked = people["BMXBMI"].notna() & (people["RIDAGEYR"] >= 8)
    assert people.loc[~asked, "BMXLEG"].isna().all()
    assert 0.92 < people.loc[asked, "BMXLEG"].notna().mean() < 0.98
    for sex in (1, 2):
        adults = people[(people["RIDAGEYR"] >= 20) & (people["RIAGENDR"] == sex)]
        assert adults["BMXLEG"].corr(adults["BMXHT"]) == pytest.approx(0.67, abs=0.08)
        children = people[people["RIDAGEYR"].between(8, 19) & (people["RIAGENDR"] == sex)]
        assert children["BMXLEG"].corr(children["BMXHT"]) > 0.8


def test_pregnancies_are_asked_of_examined_women_and_births_of_those_who_delivered(people: pd.DataFrame) -> None:
    asked = people["RHQ131"].notna()
    assert (asked == ((people["RIAGENDR"] == 2) & (people["RIDSTATR"] == 2) & (people["RIDAGEYR"] >= 20))).all()
    assert (people.loc[people["RHQ171"].notna(), "RHQ131"] == 1).all()
    assert (people["RHQ172"].notna() == people["RHQ171"].notna()).all()
    assert 0.1 < (people["RHQ172"] == 1).sum() / people["RHQ172"].notna().sum() < 0.25
    assert (people["BPQ040A"].notna() == (people["BPQ020"] == 1)).all()
    assert (people.loc[people["BPQ050A"].notna(), "BPQ040A"] == 1).mean() > 0.99


def test_the_truth_states_the_effect_that_statistics_should_find(cohort: Written) -> None:
    stated = cohort.truth.to_dict()
    assert stated["magnesium_log_odds"] == -0.15
    assert stated["supplement_log_odds"] == 0.0
    assert stated["people"] == PEOPLE * len(CYCLES)


def test_adjusted_weights_keep_their_sum_where_a_cell_is_empty() -> None:
    cells = np.array([0, 0, 1, 2])
    responds = np.array([True, False, True, False])
    found = adjust(np.ones(4), totals=np.array([4.0, 3.0, 1.0]), cells=cells, responds=responds)
    assert found.sum() == pytest.approx(8.0)
    assert found[~responds].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("size", "seed"), [(10, 1), (100_001, 1), (800, -1)])
def test_impossible_sizes_and_seeds_are_refused_before_anything_is_written(
    tmp_path: Path, size: int, seed: int
) -> None:
    with pytest.raises(MgRiskError):
        write_cohort(tmp_path / "out", people_per_cycle=size, seed=seed)
    assert not (tmp_path / "out").exists()


# Relative tolerances of weighted means of all adults (age, women, ...), real 2007-2018 against synthetic.
COMPARED = [
    ("age", "RIDAGEYR", "WTMEC2YR", None, 0.03),
    ("BMI", "BMXBMI", "WTMEC2YR", None, 0.03),
    ("waist", "BMXWAIST", "WTMEC2YR", None, 0.03),
    ("magnesium of men", "DR1TMAGN", "WTDRD1", 1, 0.05),
    ("magnesium of women", "DR1TMAGN", "WTDRD1", 2, 0.05),
    ("energy of men", "DR1TKCAL", "WTDRD1", 1, 0.05),
    ("energy of women", "DR1TKCAL", "WTDRD1", 2, 0.05),
    ("diagnosed diabetes", "DIQ010", "WTMEC2YR", None, 0.12),
    ("hypertension", "BPQ020", "WTMEC2YR", None, 0.10),
    ("medicine against it", "BPQ050A", "WTMEC2YR", None, 0.05),
    ("systolic pressure of men", "BPXSY2", "WTMEC2YR", 1, 0.02),
    ("systolic pressure of women", "BPXSY2", "WTMEC2YR", 2, 0.02),
    ("ever smoked", "SMQ020", "WTMEC2YR", None, 0.10),
    ("HbA1c", "LBXGH", "WTMEC2YR", None, 0.02),
    ("fasting insulin", "LBXIN", "WTSAF2YR", None, 0.08),
    ("fasting glucose", "LBXGLU", "WTSAF2YR", None, 0.03),
    ("fibre", "DR1TFIBE", "WTDRD1", None, 0.05),
    ("calcium", "DR1TCALC", "WTDRD1", None, 0.05),
    ("potassium", "DR1TPOTA", "WTDRD1", None, 0.05),
    ("sodium", "DR1TSODI", "WTDRD1", None, 0.05),
    ("creatinine", "LBXSCR", "WTMEC2YR", None, 0.03),
    ("triglycerides", "LBXTR", "WTSAF2YR", None, 0.08),
    ("HDL cholesterol", "LBDHDD", "WTMEC2YR", None, 0.04),
    ("total cholesterol", "LBXTC", "WTMEC2YR", None, 0.04),
    ("weight said", "WHD020", "WTINT2YR", None, 0.03),
    ("weight ten years ago", "WHD110", "WTINT2YR", None, 0.03),
    ("diastolic pressure", "BPXDI2", "WTMEC2YR", None, 0.03),
    ("pulse of men", "BPXPLS", "WTMEC2YR", 1, 0.02),
    ("pulse of women", "BPXPLS", "WTMEC2YR", 2, 0.02),
    ("upper leg of men", "BMXLEG", "WTMEC2YR", 1, 0.02),
    ("upper leg of women", "BMXLEG", "WTMEC2YR", 2, 0.02),
    ("medicine advised", "BPQ040A", "WTMEC2YR", None, 0.05),
    ("baby of 9 pounds", "RHQ172", "WTMEC2YR", None, 0.12),
]


@pytest.fixture(scope="module")
def mirror() -> Path:
    folder = os.environ.get("MGRISK_NHANES", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MGRISK_NHANES does not name a mirror of NHANES")
    return Path(folder)


@pytest.mark.nhanes
@pytest.mark.parametrize("cycle", CYCLES, ids=lambda cycle: cycle.years)
def test_columns_are_a_subset_of_the_real_tables(cohort: Written, mirror: Path, cycle: Cycle) -> None:
    for table in tables_of(cycle):
        real = {variable.name for variable in xpt.header(mirror / cycle.path(table)).variables}
        assert set(cohort.table(cycle, table).columns) <= real


@pytest.mark.nhanes
@pytest.mark.parametrize("row", COMPARED, ids=lambda row: str(row[0]))
def test_weighted_means_of_adults_resemble_the_real_ones(
    large: Written, mirror: Path, row: tuple[str, str, str, int | None, float]
) -> None:
    _, name, weight, sex, tolerance = row
    assert _mean(large.folder, name, weight, sex) == pytest.approx(_mean(mirror, name, weight, sex), rel=tolerance)


def _mean(folder: Path, name: str, weight: str, sex: int | None) -> float:
    parts = []
    for cycle in CYCLES:
        frame = xpt.read(folder / cycle.path("DEMO"), columns=["SEQN", "RIDAGEYR", "RIAGENDR", "WTINT2YR", "WTMEC2YR"])
        for column in {name, weight} - set(frame.columns):
            source = xpt.read(folder / cycle.path(VARIABLES[column].table), columns=["SEQN", column])
            frame = frame.merge(source, on="SEQN", how="left", validate="1:1")
        parts.append(frame)
    people = pd.concat(parts)
    kept = (people["RIDAGEYR"] >= 20) & (people[weight] > 0) & people[name].notna()
    kept &= ~people[name].isin(VARIABLES[name].missing)
    if VARIABLES[name].unit == "code":
        people[name] = (people[name] == 1).astype(float)
    if sex is not None:
        kept &= people["RIAGENDR"] == sex
    return float(np.average(people.loc[kept, name], weights=people.loc[kept, weight]))
