from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mgrisk.artifacts import sha256
from mgrisk.cohort.outcomes import OUTCOMES
from mgrisk.errors import MgRiskError
from mgrisk.features.registry import FEATURES
from mgrisk.nhanes import synthetic, xpt
from mgrisk.nhanes.codebook import VARIABLES
from mgrisk.nhanes.cycles import Cycle
from mgrisk.nhanes.synthetic import CYCLES, Truth, write_cohort
from mgrisk.nhanes.synthetic.sampling import adjust
from mgrisk.nhanes.synthetic.tables import NOT_WRITTEN

WRITTEN = [variable for variable in VARIABLES.values() if variable.name not in NOT_WRITTEN]
TABLES = sorted({variable.table for variable in WRITTEN})
PEOPLE = 800
READINGS = [*(f"BPXSY{place}" for place in (1, 2, 3, 4)), *(f"BPXOSY{place}" for place in (1, 2, 3))]


def tables_of(cycle: Cycle) -> list[str]:
    """Return the tables of a cycle; of two in one file, the first."""
    files = {cycle.table(table): table for table in reversed(TABLES) if table not in cycle.absent}
    return sorted(files.values())


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
    "LBXGH": (3, 18),
    "LBXGLU": (20, 600),
    "LBXIN": (0.1, 700),
    **dict.fromkeys(READINGS, (60, 240)),
    **dict.fromkeys(("PAD615", "PAD630", "PAD645", "PAD660", "PAD675"), (10, 1200)),
}


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
            parts.append(frame.rename(columns={"SLD010H": "SLD012"}).assign(first=cycle.first))
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
        assert set(frame.columns) == expected
        assert frame["SEQN"].is_unique
        assert len(frame) > 0


def test_what_is_not_written_is_in_the_codebook_and_no_feature_or_outcome_of_the_demo_needs_it() -> None:
    assert VARIABLES.keys() >= NOT_WRITTEN
    needed = {source for feature in FEATURES.values() for source in feature.sources}
    needed |= {name for outcome in OUTCOMES.values() for name in outcome.variables}
    assert needed.isdisjoint(NOT_WRITTEN)


def test_no_other_files_are_written(cohort: Written) -> None:
    written = {path.relative_to(cohort.folder).as_posix() for path in cohort.folder.rglob("*") if path.is_file()}
    assert written == {cycle.path(table) for cycle in CYCLES for table in tables_of(cycle)} | {synthetic.NOTE}


def test_every_table_and_the_folder_say_synthetic(cohort: Written) -> None:
    assert "NOT REAL PEOPLE" in (cohort.folder / synthetic.NOTE).read_text()
    for cycle in CYCLES:
        for table in tables_of(cycle):
            assert xpt.header(cohort.folder / cycle.path(table)).label.startswith("SYNTHETIC")


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
        assert (people[f"DR{day}TMAGN"].notna() == reliable).all()
        assert (people[f"DR{day}TKCAL"].notna() == reliable).all()
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
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    assert np.log(ratio).std() == pytest.approx(large.truth.recall_log_sd, abs=0.01)
    assert 0.30 < np.log(people.loc[ok, "usual_magnesium_mg"]).std() < 0.38


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
        frame = xpt.read(folder / cycle.path("DEMO"), columns=["SEQN", "RIDAGEYR", "RIAGENDR", "WTMEC2YR"])
        for column in {name, weight} - set(frame.columns):
            source = xpt.read(folder / cycle.path(VARIABLES[column].table), columns=["SEQN", column])
            frame = frame.merge(source, on="SEQN", how="left", validate="1:1")
        parts.append(frame)
    people = pd.concat(parts)
    kept = (people["RIDAGEYR"] >= 20) & (people[weight] > 0) & people[name].notna()
    if VARIABLES[name].unit == "code":
        kept &= ~people[name].isin(VARIABLES[name].missing)
        people[name] = (people[name] == 1).astype(float)
    if sex is not None:
        kept &= people["RIAGENDR"] == sex
    return float(np.average(people.loc[kept, name], weights=people.loc[kept, weight]))
