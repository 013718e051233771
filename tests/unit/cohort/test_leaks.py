"""A variable that defines, treats or follows an outcome cannot be a feature of its model.

The error says whether it is measured after the outcome is known.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
import pytest

from mgrisk.cohort.leaks import ORDER, STAGES, refuse_leaks, timing
from mgrisk.cohort.outcomes import OUTCOMES, Outcome, outcome
from mgrisk.cohort.select import ADMINISTRATIVE
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features import registry
from mgrisk.features.registry import FEATURES, features
from mgrisk.survey.design import WeightLevel

every_outcome = pytest.mark.parametrize("row", OUTCOMES.values(), ids=lambda row: row.name)


@every_outcome
def test_every_leaking_source_is_refused_by_name_with_feature_source_and_pattern(row: Outcome) -> None:
    innocent = FEATURES["waist_cm"]
    for leak, pattern in [(each, pattern) for each in row.leaks for pattern in each.patterns]:
        source = pattern.replace("*", "020")
        leaking = innocent.model_copy(update={"name": "glucose_like", "sources": ("BMXWAIST", source)})
        with pytest.raises(MgRiskError) as caught:
            refuse_leaks(row, [innocent, leaking])
        assert caught.value.code == "leakage.by_name"
        assert caught.value.status == ExitStatus.USAGE
        for part in ("glucose_like", row.name, source, leak.name):
            assert part in caught.value.what()


@every_outcome
def test_what_defines_an_outcome_is_on_its_own_leak_list(row: Outcome) -> None:
    # Age is in the rule that tells type 1; it gives nothing away.
    for name in set(row.variables) - set(ADMINISTRATIVE):
        defining = FEATURES["waist_cm"].model_copy(update={"sources": (name,)})
        with pytest.raises(MgRiskError, match=name):
            refuse_leaks(row, [defining])


# Serum glucose and an osmolality computed from it; names of before 2003; diets; metformin; insulin and why a supplement
# is taken; eyes, kidneys and albumin; advice on weight and statins; visits to doctors; what encodes the sample.
KNOWN = (
    "LBXGH", "LBXGLU", "LBDGLUSI", "LBXGLUSI", "LBXSGL", "LBDSGLSI", "LBXSOSSI", "LBXGLT", "LBDGLTSI", "LBXIN",
    "LBDINSI", "LBXINSI", "DRQSDIET", "DRQSDT4", "DRQSDT7", "DRQSDT9", "RXDDRUG", "RXDDCI1A", "RXQ050", "DIQ050",
    "DID040", "DSD128T", "URDACT", "URXUMA", "OPXFDIAB", "KIQ022", "BPQ090D", "BPQ100D", "BPQ101D", "BPQ110A", "BPQ140",
    "MCQ365A", "MCQ366A",
    "MCQ370C", "MCQ371D", "HUQ050", "SEQN", "SDDSRVYR", "SDMVPSU", "WTSAF2YR", "WTSOG2YR",
)  # fmt: skip


@every_outcome
@pytest.mark.parametrize("source", KNOWN)
def test_known_leaks_of_the_field_are_refused(row: Outcome, source: str) -> None:
    leaking = FEATURES["waist_cm"].model_copy(update={"sources": (source,)})
    with pytest.raises(MgRiskError, match=source):
        refuse_leaks(row, [leaking])


@every_outcome
def test_of_the_registry_markers_are_refused_and_features_made_of_medicines_where_these_follow(row: Outcome) -> None:
    refused = set()
    for feature in FEATURES.values():
        try:
            refuse_leaks(row, [feature])
        except MgRiskError:
            refused.add(feature.name)
    medicines = {"medicine_count"}
    if row.name == "diabetes":
        medicines |= {name for leak in outcome("undiagnosed").leaks for name in leak.spares}
        medicines |= {"magnesium_depletion_score"}
    markers = {feature.name for feature in FEATURES.values() if feature.group == "marker"}
    assert refused == markers | (medicines & FEATURES.keys())


def test_what_a_leak_list_spares_is_a_feature() -> None:
    assert {name for row in OUTCOMES.values() for leak in row.leaks for name in leak.spares} <= FEATURES.keys()


@every_outcome
def test_a_marker_is_refused_and_so_is_what_is_made_of_one(row: Outcome) -> None:
    made = FEATURES["waist_cm"].model_copy(update={"name": "made", "sources": (), "derived_from": ("homa_ir",)})
    for marker in [made, *(feature for feature in FEATURES.values() if feature.group == "marker")]:
        with pytest.raises(MgRiskError) as caught:
            refuse_leaks(row, [FEATURES["waist_cm"], marker])
        assert caught.value.code == "leakage.marker"
        assert marker.name in caught.value.what()
    with pytest.raises(MgRiskError, match=r"made is a marker, .* \(via "):
        refuse_leaks(row, [made])


def test_a_source_is_seen_behind_a_derived_and_behind_a_summary_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    innocent = FEATURES["waist_cm"]
    serum = innocent.model_copy(update={"name": "osmolality", "sources": ("LBXSOSSI",)})
    derived = innocent.model_copy(update={"name": "derived", "sources": (), "derived_from": ("osmolality",)})
    filled = innocent.model_copy(update={"name": "filled", "sources": ("BMXWAIST",), "derived_from": ("osmolality",)})
    fitted = innocent.model_copy(update={"name": "made", "sources": (), "derived_from": ("filled",), "fitted": "x"})
    summed = innocent.model_copy(update={"name": "pills", "sources": ("RXDDRGID",), "summary": "medicines"})
    known = {each.name: each for each in (serum, derived, filled, fitted, summed)}
    monkeypatch.setattr(registry, "FEATURES", {**FEATURES, **known})
    for name, source in {"derived": "LBXSOSSI", "filled": "LBXSOSSI", "made": "LBXSOSSI", "pills": "RXDDRGID"}.items():
        with pytest.raises(MgRiskError, match=f"{name} leaks the outcome undiagnosed: its source {source}"):
            refuse_leaks(outcome("undiagnosed"), [known[name]])


def test_medicines_that_lower_no_glucose_predict_before_a_diagnosis_and_not_after_it() -> None:
    diuretic = FEATURES["waist_cm"].model_copy(update={"name": "diuretic_use", "sources": ("RXDDRGID",)})
    refuse_leaks(outcome("undiagnosed"), [diuretic])
    with pytest.raises(MgRiskError, match="diuretic_use leaks the outcome diabetes"):
        refuse_leaks(outcome("diabetes"), [diuretic])
    reading_more = diuretic.model_copy(update={"sources": ("RXDDRGID", "DIQ070")})
    with pytest.raises(MgRiskError, match="DIQ070"):
        refuse_leaks(outcome("undiagnosed"), [reading_more])


def test_a_name_that_only_holds_a_leaking_one_is_no_leak() -> None:
    other = FEATURES["waist_cm"].model_copy(update={"sources": ("LBXGHX", "XDIQ010")})
    refuse_leaks(outcome("undiagnosed"), [other])


# Who is at risk: relatives, and diabetes in a past pregnancy.
TELLS_RISK = r"MCQ2[56]0A.*|MCQ300C|RHQ16[23]"


@pytest.mark.nhanes
@every_outcome
def test_whatever_cdc_labels_as_glucose_insulin_or_diabetes_is_on_the_leak_lists(row: Outcome) -> None:
    """The codebook of all cycles, and not what we happened to think of."""
    folder = os.environ.get("MGRISK_CODEBOOK")
    if not folder:
        pytest.skip("MGRISK_CODEBOOK does not name the folder of CDC's codebook (codebook_variables.csv.xz)")
    known = pd.read_csv(Path(folder) / "codebook_variables.csv.xz", dtype=str, keep_default_na=False)
    said = known["SasLabel"].str.contains(r"glucose|insulin|gly\w*hemoglobin|diabet|blood sugar", case=False)
    names = known.loc[said, "Variable"].str.upper().drop_duplicates()
    names = names[~names.str.fullmatch(TELLS_RISK)]
    assert len(names) > 40
    patterns = [pattern for leak in row.leaks for pattern in leak.patterns]
    missed = [name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)]
    assert missed == []


PIPELINE = ["age_years", "sex", "race_ethnicity", "family_history_diabetes", "smoking", "waist_cm", "magnesium_food_mg"]


def test_every_level_has_a_stage() -> None:
    assert set(STAGES) == set(WeightLevel)
    assert set(STAGES.values()) < set(ORDER)


@pytest.mark.parametrize("name", [name for name in OUTCOMES if name != "diabetes"])
def test_nothing_of_the_visit_follows_an_outcome_that_blood_alone_tells(name: str) -> None:
    found = timing(outcome(name), features(PIPELINE))
    assert {each.known for each in found} == {"results"}
    assert not any(each.finding for each in found)


def test_all_that_a_diagnosis_can_change_follows_it_but_not_age_sex_origin_and_relatives() -> None:
    found = {each.feature: each.finding for each in timing(outcome("diabetes"), features(PIPELINE))}
    assert {name for name, finding in found.items() if finding} == {"smoking", "waist_cm", "magnesium_food_mg"}


def test_the_source_that_comes_last_decides_also_behind_a_derived_feature() -> None:
    second = FEATURES["waist_cm"].model_copy(update={"name": "second", "sources": ("BMXWAIST", "DR2TMAGN")})
    (found,) = timing(outcome("undiagnosed"), [second])
    assert (found.source, found.stage, found.finding) == ("DR2TMAGN", "telephone", False)
    derived = FEATURES["waist_cm"].model_copy(update={"sources": (), "derived_from": ("height_cm",)})
    (found,) = timing(outcome("undiagnosed"), [derived])
    assert found.to_dict() == {
        "feature": "waist_cm",
        "source": "BMXHT",
        "stage": "examination",
        "known": "results",
        "finding": False,
    }
