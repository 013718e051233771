"""Medicines: the class of each ingredient decides; none is "no"; refused answers and unknown names are missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mgrisk.features.compute import from_nhanes
from mgrisk.features.medicines import CLASSES, CODE, NAME, SECOND, THIRD
from mgrisk.features.registry import features
from mgrisk.features.summary import gather
from mgrisk.nhanes import xpt
from mgrisk.nhanes.cycles import LOOKUPS, cycle
from mgrisk.nhanes.store import Store

NAN = float("nan")
# Name of a medicine, and classes of the second and third level of each ingredient; not those of the product.
DRUGS: dict[str, tuple[str, list[tuple[float, float]]]] = {
    "d00325": ("OMEPRAZOLE", [(272, NAN)]),
    "d03052": ("HYDROCHLOROTHIAZIDE; TRIAMTERENE", [(49, 155), (49, 156)]),
    "d03740": ("HYDROCHLOROTHIAZIDE; LISINOPRIL", [(42, NAN), (49, 156)]),
    "d04121": ("TAMSULOSIN", [(43, NAN)]),
    "d00161": ("ACETAZOLAMIDE", [(49, 157), (64, 351)]),
    "d00350": ("PREDNISONE", [(98, 301)]),
    "d01324": ("HYDROCORTISONE TOPICAL", [(136, 138)]),
    "d00649": ("BUDESONIDE", [(98, 301), (130, 296)]),
    "d04851": ("NIACIN; SIMVASTATIN", [(19, 174), (119, NAN), (19, 173)]),
    "d03807": ("METFORMIN", [(99, 214)]),
    "d00132": ("HYDRALAZINE", [(53, NAN)]),
}
ALL = [*CLASSES, "medicine_count"]


@pytest.fixture
def lookup(put: Callable[..., Path]) -> None:
    """The list of medicines in the mirror."""
    levels = {
        column: [classes[place][level] if place < len(classes) else NAN for _, classes in DRUGS.values()]
        for level, columns in enumerate((SECOND, THIRD))
        for place, column in enumerate(columns)
    }
    put("1999-2000", "RXQ_DRUG", **{CODE: list(DRUGS), NAME: [name for name, _ in DRUGS.values()], **levels})


def computed(store: Store, years: str) -> pd.DataFrame:
    chosen = features(ALL)
    return from_nhanes(gather(store, cycles=[cycle(years)], chosen=chosen).frame, chosen)


def taken(put: Callable[..., Path], store: Store, medicines: dict[float, list[tuple[float, str]]]) -> pd.DataFrame:
    """Features of people, by sequence number, with their rows of RXQ_RX: answer and drug code."""
    people = list(medicines)
    put("2009-2010", "DEMO", SEQN=people)
    rows = [(person, *row) for person, found in medicines.items() for row in found]
    columns = {"SEQN": [row[0] for row in rows], "RXDUSE": [row[1] for row in rows], CODE: [row[2] for row in rows]}
    put("2009-2010", "RXQ_RX", **columns)
    found = computed(store, "2009-2010")
    found.index = pd.Index(people)
    return found


@pytest.mark.parametrize(
    ("code", "classes"),
    [
        ("d00325", {"ppi_use"}),
        ("d03052", {"diuretic_use", "antihypertensive_use"}),
        ("d03740", {"diuretic_use", "antihypertensive_use"}),
        ("d04121", set()),
        ("d00161", {"diuretic_use"}),
        ("d00350", {"glucocorticoid_use"}),
        ("d01324", set()),
        ("d00649", set()),
        ("d04851", {"statin_use"}),
        ("d03807", {"glucose_lowering_use"}),
        ("d00132", {"antihypertensive_use"}),
    ],
    ids=lambda value: DRUGS[value][0] if isinstance(value, str) else "",
)
@pytest.mark.usefixtures("lookup")
def test_a_medicine_is_of_the_classes_of_its_ingredients(
    put: Callable[..., Path], store: Store, code: str, classes: set[str]
) -> None:
    found = taken(put, store, {1.0: [(1.0, code)]})
    assert {name for name in CLASSES if found.loc[1, name] == "yes"} == classes
    assert {name for name in CLASSES if found.loc[1, name] == "no"} == CLASSES.keys() - classes
    assert found.loc[1, "medicine_count"] == 1


@pytest.mark.usefixtures("lookup")
def test_none_is_no_and_refused_unknown_and_not_in_the_table_are_missing(
    put: Callable[..., Path], store: Store
) -> None:
    rows = {1.0: [(2.0, "")], 2.0: [(7.0, "")], 3.0: [(9.0, "")], 4.0: [(NAN, "")], 5.0: []}
    found = taken(put, store, rows)
    assert (found.loc[1, list(CLASSES)] == "no").all()
    assert found.loc[1, "medicine_count"] == 0
    assert found.loc[[2, 3, 4, 5]].isna().all(axis=None)


@pytest.mark.usefixtures("lookup")
def test_a_medicine_of_unknown_name_may_be_of_any_class_that_the_others_are_not(
    put: Callable[..., Path], store: Store
) -> None:
    found = taken(put, store, {1.0: [(1.0, "d00325"), (1.0, "")], 2.0: [(1.0, "d99999")]})
    assert found.loc[1, "ppi_use"] == "yes"
    assert found.loc[1, [name for name in CLASSES if name != "ppi_use"]].isna().all()
    assert found.loc[2, list(CLASSES)].isna().all()
    assert found["medicine_count"].tolist() == [2, 1]


def test_which_medicines_are_taken_is_not_released_from_2021_on(put: Callable[..., Path], store: Store) -> None:
    put("2021-2023", "DEMO", SEQN=[1.0])
    assert computed(store, "2021-2023").isna().all(axis=None)


@pytest.fixture
def mirror(tmp_path: Path) -> Store:
    if not os.environ.get("MGRISK_NHANES"):
        pytest.skip("MGRISK_NHANES does not name the mirror of the tables")
    return Store(source=os.environ["MGRISK_NHANES"], cache=tmp_path, offline=True)


# International nonproprietary names by their stems (WHO), and names that have none.
LOOP_AND_OTHERS = (
    r"THIAZIDE|CHLORTHALIDONE|FUROSEMIDE|TORSEMIDE|BUMETANIDE|ETHACRYNIC|SPIRONOLACTONE|EPLERENONE|TRIAMTERENE|AMILORIDE"
    r"|METOLAZONE|INDAPAMIDE|DIURETIC"
)
STEMS = {
    "diuretic_use": rf"{LOOP_AND_OTHERS}|ACETAZOLAMIDE|METHAZOLAMIDE|DICHLORPHENAMIDE",
    "ppi_use": r"(?:OME|LANSO|PANTO|RABE)PRAZOLE",
    "antihypertensive_use": rf"{LOOP_AND_OTHERS}|PRIL\b|SARTAN|(?<!STANOZ)[AO]LOL\b|CARVEDILOL|DIPINE|DILTIAZEM"
    r"|VERAPAMIL|CLONIDINE|METHYLDOPA|GUANABENZ|GUANFACINE|GUANETHIDINE|GUANADREL|RESERPINE|RAUWOLFIA|\bPRAZOSIN"
    r"|TERAZOSIN|DOXAZOSIN|HYDRALAZINE|MINOXIDIL$|ALISKIREN|ANTIHYPERTENSIVE|BETA-ADRENERGIC",
    "glucocorticoid_use": r"PREDNIS|METHASONE|(?<!FLUDRO)CORTISONE|TRIAMCINOLONE|DEFLAZACORT|ADRENAL CORTICAL",
    "statin_use": r"VASTATIN|HMG-COA",
    "glucose_lowering_use": r"INSULIN|FORMIN|GLIPTIN|GLIFLOZIN|GLITAZONE|GLUTIDE|ENATIDE|\bGL[IY][A-Z]*IDE\b|GLINIDE"
    r"|ACARBOSE|MIGLITOL|PRAMLINTIDE|CHLORPROPAMIDE|ACETOHEXAMIDE|TOLAZAMIDE|TOLBUTAMIDE|ANTIDIABETIC",
}
LOCAL = r"OPHTHALMIC|TOPICAL|OTIC|NASAL|^BECLOMETHASONE$"


@pytest.mark.nhanes
@pytest.mark.parametrize("name", CLASSES)
def test_the_medicines_of_a_class_are_those_whose_names_say_so(mirror: Store, name: str) -> None:
    drugs = xpt.read(mirror.path(LOOKUPS["RXQ_DRUG"]))
    assert (CLASSES[name].also | CLASSES[name].but) <= set(drugs[NAME])
    named = drugs[NAME].str.contains(STEMS[name]) & ~drugs[NAME].str.contains(LOCAL)
    of_class = drugs[CODE].isin(CLASSES[name].codes(drugs))
    assert sorted(drugs.loc[of_class, NAME]) == sorted(drugs.loc[named, NAME])


@pytest.mark.nhanes
@pytest.mark.parametrize(
    ("years", "any_medicine", "five_or_more"), [("1999-2000", 0.51, 0.082), ("2011-2012", 0.59, 0.15)]
)
def test_shares_of_adults_are_those_published(
    mirror: Store, years: str, any_medicine: float, five_or_more: float
) -> None:
    """Kantor 2015, JAMA 314:1818: of adults of 20 and older, any prescription medicine and five or more."""
    chosen = features(["medicine_count", "age_years"])
    raw = gather(mirror, cycles=[cycle(years)], chosen=chosen, names=["WTINT2YR"]).frame
    found = from_nhanes(raw, chosen)
    adults = (found["age_years"] >= 20) & found["medicine_count"].notna()
    weight, count = raw.loc[adults, "WTINT2YR"], found.loc[adults, "medicine_count"]
    share = [float(weight[count >= least].sum() / weight.sum()) for least in (1, 5)]
    assert share == pytest.approx([any_medicine, five_or_more], abs=0.005)


@pytest.mark.nhanes
def test_medicines_are_counted_as_cdc_counted_them(mirror: Store) -> None:
    chosen = features(["medicine_count"])
    raw = gather(mirror, cycles=[cycle("2015-2016")], chosen=chosen).frame
    counted = xpt.read(mirror.path(cycle("2015-2016").path("RXQ_RX"))).groupby("SEQN")["RXDCOUNT"].first().dropna()
    found = from_nhanes(raw, chosen).set_index(raw["SEQN"])["medicine_count"]
    assert found[found > 0].astype(int).to_dict() == counted.astype(int).to_dict()
