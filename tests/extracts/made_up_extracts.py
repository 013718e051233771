"""Made-up (SYNTHETIC) extracts of a hospital, an insurer and a nutrition study, with the true values.

Each has a file with its own column names and codes, the mapping file beside this module, and the people in the input
schema: one row for each person, in the order of the mapped file. The outcome depends on age, waist, blood pressure and
family history, not on magnesium.

    extract = hospital(20_000)
    path = extract.write(tmp_path)
    map_file(str(path), read_mapping(extract.mapping), str(tmp_path / "people.csv"))  # gives extract.people
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

HERE = Path(__file__).parent
KG_PER_POUND, CM_PER_INCH = 0.45359237, 2.54
INDEX_DATE = date(2025, 6, 30)
LAST_VISIT = date(2025, 6, 29)
NOT_KNOWN = "see letter"


@dataclass(frozen=True)
class Extract:
    """An extract and what it means.

    Attributes
    ----------
    name
        Of the file.
    content
        The file.
    rows
        Rows of the file, those of excluded ones too.
    excluded
        Rows that the mapping excludes.
    people
        The truth, by names of the output: numbers, levels as texts; NaN or None where nothing is known. A cell that
        the mapping does not understand stands as it is.
    """

    name: str
    content: bytes
    rows: int
    excluded: int
    people: pd.DataFrame

    @property
    def mapping(self) -> Path:
        """The mapping file."""
        return HERE / f"{self.name.split('.')[0]}.mapping.toml"

    def write(self, folder: Path) -> Path:
        """Write the file, and return where it is."""
        path = folder / self.name
        path.write_bytes(self.content)
        return path


def _people(random: np.random.Generator, n: int, kind: str) -> pd.DataFrame:
    """Return what all three have in common, in full precision."""
    age = np.clip(random.normal(55, 14, n), 21, 89)
    female = random.random(n) < 0.53
    height = np.clip(random.normal(np.where(female, 163, 176), 6.5), 140, 205)
    bmi = np.clip(random.lognormal(np.log(27.5), 0.18, n), 17, 55)
    waist = np.clip(35 + 2.1 * bmi + 0.12 * age + np.where(female, -5, 3) + random.normal(0, 5, n), 55, 180)
    systolic = np.clip(random.normal(100 + 0.45 * age, 14), 85, 220).round()
    family = random.random(n) < 0.32
    hypertension = random.random(n) < expit(-5.2 + 0.06 * age + 0.07 * (bmi - 27))
    log_odds = -4.6 + 0.035 * (age - 50) + 0.045 * (waist - 95) + 0.7 * family + 0.5 * hypertension
    return pd.DataFrame(
        {
            "person_id": [f"made-up-{kind}-{number:06d}" for number in range(n)],
            "born": [INDEX_DATE - timedelta(days=int(years * 365.25)) for years in age],
            "female": female,
            "height_cm": height,
            "weight_kg": bmi * (height / 100) ** 2,
            "waist_cm": waist,
            "systolic_mmhg": systolic,
            "diastolic_mmhg": np.clip(systolic * random.normal(0.62, 0.05, n), 45, systolic - 10).round(),
            "family": family,
            "hypertension": hypertension,
            "smoking": random.choice(["never", "former", "current"], n, p=[0.55, 0.27, 0.18]),
            "case": random.random(n) < expit(log_odds),
        }
    )


def _age(born: date, at: date) -> int:
    """Return completed years."""
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))


def _yes(flag: Any) -> str:
    return "yes" if flag else "no"


def _comma(number: float, places: int) -> str:
    return f"{number:.{places}f}".replace(".", ",")


def hospital(n: int = 2000, *, seed: int = 1, not_understood: int = 0) -> Extract:
    """Visits, one to four for each person, in any order: Latin-1 (cp1252), semicolons, decimal commas, German words.

    Parameters
    ----------
    n
        People.
    seed
        Of the generator.
    not_understood
        So many people, the last ones, have a note in place of a code for smoking.
    """
    random = np.random.default_rng(seed)
    people = _people(random, n, "hospital")
    smoking = {"never": ("nie", "Nie", "NIE"), "former": ("Ex-Raucher", "ex seit 2004", "EX"), "current": ("ja", "Ja")}
    rows, truth, n_tests = [], [], 0
    for number, person in enumerate(people.itertuples(index=False)):
        n_visits = int(random.integers(1, 5))
        days = sorted(random.choice(1500, n_visits, replace=False).tolist(), reverse=True)
        visits = [LAST_VISIT - timedelta(days=int(day)) for day in days]
        noted = NOT_KNOWN if number >= n - not_understood else None
        known: dict[str, Any] = {"smoking": None, "mother": None, "father": None}
        diabetes = random.random() < 0.06
        fertile = bool(person.female) and person.born > date(1982, 1, 1)
        pregnant = fertile and random.random() < 0.08
        site = str(random.choice(["Nord", "Süd", "Köln-Mülheim"]))
        for visit in visits:
            weight = round(person.weight_kg + float(random.normal(0, 1)), 1)
            cells: dict[str, str] = {
                "PatNr": person.person_id,
                "Geburtsdatum": f"{person.born:%d.%m.%Y}",
                "Besuchsdatum": f"{visit:%d.%m.%Y}",
                "Haus": site,
                "Geschlecht": str(random.choice(["w", "W", "weiblich"] if person.female else ["m", "M", "männlich"])),
                "Größe (cm)": _comma(person.height_cm, 1),
                "Gewicht": _comma(weight, 1),
                "RR": f"{person.systolic_mmhg:.0f}/{person.diastolic_mmhg:.0f}",
                "Raucher": noted or str(random.choice(smoking[person.smoking])),
                "Mutter Diabetes": "J" if person.family else "N",
                "Vater Diabetes": "N",
                "Diag1": str(random.choice(["I10.00", "i10.90"]) if person.hypertension else "J06.9"),
                "Diag2": str(random.choice(["E11.90", "e11.20", "E13.9"]))
                if diabetes and (visit == visits[0] or random.random() < 0.5)
                else "",
                "Diag3": "O26.9"
                if (pregnant if visit == visits[-1] else fertile and random.random() < 0.1)
                else str(random.choice(["M54.5", "", "Z00.0"])),
                "Storniert": "",
                "DM_2J": "1" if person.case else "0",
            }
            # What a visit did not measure: the value before it holds.
            dropped = random.random(5)
            if dropped[0] < 0.2:
                cells["Größe (cm)"] = "-"
            else:
                known["height_cm"] = float(f"{person.height_cm:.1f}")
            if dropped[1] < 0.2:
                cells["Gewicht"] = ""
            else:
                known["weight_kg"] = weight
            if dropped[2] < 0.2:
                cells["RR"] = "entf."
            else:
                known["systolic_mmhg"], known["diastolic_mmhg"] = person.systolic_mmhg, person.diastolic_mmhg
            if dropped[3] < 0.2:
                cells["Raucher"] = "unbekannt"
            else:
                known["smoking"] = noted or person.smoking
            if dropped[4] < 0.3:
                cells["Vater Diabetes"] = "?"
            # One yes is a yes; a no takes both to be known.
            if person.family or dropped[4] >= 0.3:
                known["family"] = _yes(person.family)
            rows.append(cells)
            if random.random() < 0.03:
                n_tests += 1
                wrong = {"Gewicht": "999,9", "Raucher": "ja", "Storniert": str(random.choice(["x", "X", "Testfall 3"]))}
                rows.append({**cells, **wrong})
        last = visits[-1]
        truth.append(
            {
                "person_id": person.person_id,
                "site": site,
                "year": str(last.year),
                "diabetes": "1" if person.case else "0",
                "age_years": _age(person.born, last),
                "sex": "female" if person.female else "male",
                "height_cm": known.get("height_cm"),
                "weight_kg": known.get("weight_kg"),
                "systolic_mmhg": known.get("systolic_mmhg"),
                "diastolic_mmhg": known.get("diastolic_mmhg"),
                "smoking": known["smoking"],
                "family_history_diabetes": known.get("family"),
                "hypertension_told": _yes(person.hypertension),
                "diabetes_told": _yes(diabetes),
                "pregnant": _yes(pregnant),
            }
        )
    raw = pd.DataFrame([rows[place] for place in random.permutation(len(rows))])
    content = raw.to_csv(index=False, sep=";", lineterminator="\r\n").encode("cp1252")
    return Extract("hospital.csv", content, len(raw), n_tests, _in_order(truth, raw[raw["Storniert"] == ""]["PatNr"]))


def _in_order(truth: list[dict[str, Any]], ids: pd.Series) -> pd.DataFrame:
    """Return the people in the order in which they are met."""
    return pd.DataFrame(truth).set_index("person_id").loc[ids.drop_duplicates()].reset_index()


def insurer(n: int = 2000, *, seed: int = 2) -> Extract:
    """Members, a row for each: Parquet with dates, booleans and whole numbers of its own, feet and inches, pounds.

    Parameters
    ----------
    n
        People; some further members are closed accounts.
    seed
        Of the generator.
    """
    random = np.random.default_rng(seed)
    people = _people(random, n, "insurer")
    half_inches = (people["height_cm"] / CM_PER_INCH * 2).round().astype(int)
    pounds = (people["weight_kg"] / KG_PER_POUND).round()
    waist_inches = (people["waist_cm"] / CM_PER_INCH).round(1)
    signs = ["'{}\"", "' {}\"", "′{}″", " ft {} in"]
    heights = [
        f"{half // 24}{signs[k % 4].format(f'{half % 24 / 2:g}')}" if half % 24 else f"{half // 24}'"
        for k, half in enumerate(half_inches)
    ]
    no_height = random.random(n) < 0.05
    medicines = people["hypertension"].to_numpy()[:, None] & (random.random((n, 3)) < (0.5, 0.3, 0.1))
    no_claims = random.random(n) < 0.05
    diagnosed, metformin, insulin = random.random((3, n)) < np.array([[0.05], [0.04], [0.03]])
    young = random.random(n) < 0.1
    met = (random.random((3, n)) * [[2000], [600], [1500]]).round()
    no_leisure = random.random(n) < 0.07
    enrolled = [date(2010, 1, 1) + timedelta(days=int(day)) for day in random.integers(0, 5000, n)]
    smoking = {"never": "NEVER SMOKER", "former": "Former Smoker", "current": "current every day"}
    raw = pd.DataFrame(
        {
            "member": people["person_id"],
            "birth_date": people["born"],
            "enrolled": enrolled,
            "status": random.choice(["active", "Active", "ACTIVE"], n),
            "gender": np.where(people["female"], 2, 1),
            "height": np.where(no_height, None, heights),
            "weight_lb": pounds.astype(int),
            "waist_in": waist_inches,
            "sbp": people["systolic_mmhg"].astype(int),
            "dbp": people["diastolic_mmhg"].astype(int),
            "rx_ace": medicines[:, 0],
            "rx_diuretic": np.where(medicines[:, 1], "Y", "N"),
            "rx_beta": pd.array(np.where(no_claims, None, medicines[:, 2].astype(int)), dtype="Int64"),
            "dx_htn": pd.array(people["hypertension"], dtype="boolean"),
            "dx_diabetes": diagnosed,
            "rx_metformin": np.where(metformin, "t", "f"),
            "rx_insulin": insulin.astype(int),
            "onset_before_30": np.where(young, "TRUE", "FALSE"),
            "parent_dm": np.where(people["family"], "yes", "No"),
            "smoker": people["smoking"].map(smoking),
            "met_work": met[0],
            "met_travel": met[1],
            "met_leisure": np.where(no_leisure, np.nan, met[2]),
            "dm_2y": people["case"],
        }
    )
    people_as_they_are = pd.DataFrame(
        {
            "person_id": people["person_id"],
            "site": "insurer",
            "year": [f"{day.year}" for day in enrolled],
            "diabetes": people["case"].map(_yes),
            "age_years": [_age(born, INDEX_DATE) for born in people["born"]],
            "sex": np.where(people["female"], "female", "male"),
            "height_cm": np.where(no_height, np.nan, half_inches / 2 * CM_PER_INCH),
            "weight_kg": pounds * KG_PER_POUND,
            "waist_cm": waist_inches * CM_PER_INCH,
            "systolic_mmhg": people["systolic_mmhg"],
            "diastolic_mmhg": people["diastolic_mmhg"],
            "smoking": people["smoking"],
            "family_history_diabetes": people["family"].map(_yes),
            "hypertension_told": people["hypertension"].map(_yes),
            "blood_pressure_medicine": [
                None if unknown and not medicines[k, :2].any() else _yes(medicines[k, : 2 if unknown else 3].any())
                for k, unknown in enumerate(no_claims)
            ],
            "activity_met_min_week": np.where(no_leisure, np.nan, met.sum(axis=0)),
            "leisure_met_min_week": np.where(no_leisure, np.nan, met[2]),
            "diabetes_told": [_yes(flag) for flag in diagnosed | metformin | insulin],
            "likely_type_1": [_yes(flag) for flag in insulin & young],
            "pregnant": "no",
        }
    )
    closed = raw.sample(n=n // 20, random_state=seed).assign(status="closed 2024")
    order = random.permutation(n + len(closed))
    sink = io.BytesIO()
    pd.concat([raw, closed], ignore_index=True).iloc[order].to_parquet(sink, index=False)
    return Extract(
        "insurer.parquet",
        sink.getvalue(),
        len(order),
        len(closed),
        people_as_they_are.iloc[order[order < n]].reset_index(drop=True),
    )


def nutrition_study(n: int = 2000, *, seed: int = 3) -> Extract:
    """Recalls and products, several rows for each person: tabs, UTF-16, thousands as in 1,834.5.

    A recall has the magnesium of each meal, a product that of a day's dose. Who took no product has no such row.

    Parameters
    ----------
    n
        People.
    seed
        Of the generator.
    """
    random = np.random.default_rng(seed)
    people = _people(random, n, "study")
    rows, truth = [], []
    for person in people.itertuples(index=False):
        who = {
            "ID": person.person_id,
            "AGE": str(_age(person.born, INDEX_DATE)),
            "SEX": "2" if person.female else "1",
            "HEIGHT_M": f"{person.height_cm / 100:.3f}",
            "WEIGHT": f"{person.weight_kg:.1f}",
            "WAIST": "-9" if random.random() < 0.05 else f"{person.waist_cm:.1f}",
            "SMOKE": {"never": "0", "former": "1", "current": "2"}[person.smoking],
            "FAMHX": "9" if random.random() < 0.06 else f"{int(person.family)}",
            "DM2": f"{int(person.case)}",
        }
        blank = dict.fromkeys(
            ("KCAL", "FIBRE_G", "MG_BREAKFAST", "MG_LUNCH", "MG_DINNER", "MG_SNACKS", "MG_PRODUCT"), ""
        )
        recalls = [
            (
                round(float(random.lognormal(np.log(2000), 0.3)), 1),
                round(float(random.lognormal(np.log(17), 0.4)), 1),
                (random.lognormal(np.log((70, 90, 100, 30)), 0.4)).round(1).tolist(),
            )
            for _ in range(int(random.integers(1, 4)))
        ]
        for kcal, fibre, meals in recalls:
            named = dict(zip(("MG_BREAKFAST", "MG_LUNCH", "MG_DINNER", "MG_SNACKS"), map(str, meals), strict=True))
            rows.append({**who, "RECORD": "recall", **blank, "KCAL": f"{kcal:,.1f}", "FIBRE_G": str(fibre), **named})
        products = random.choice([50, 100, 133.3, 250], int(random.integers(0, 4))).tolist()
        rows += [{**who, "RECORD": "product", **blank, "MG_PRODUCT": f"{dose:g}"} for dose in products]
        if random.random() < 0.02:
            rows.append({**who, "RECORD": "Pilot", **blank, "KCAL": "9,999.0", "MG_PRODUCT": "5000"})
        truth.append(
            {
                "person_id": person.person_id,
                "diabetes": who["DM2"],
                "age_years": float(who["AGE"]),
                "sex": "female" if person.female else "male",
                "height_cm": float(who["HEIGHT_M"]) * 100,
                "weight_kg": float(who["WEIGHT"]),
                "waist_cm": None if who["WAIST"] == "-9" else float(who["WAIST"]),
                "smoking": person.smoking,
                "family_history_diabetes": None if who["FAMHX"] == "9" else _yes(person.family),
                "energy_kcal": float(np.mean([kcal for kcal, _, _ in recalls])),
                "fiber_g": float(np.mean([fibre for _, fibre, _ in recalls])),
                "magnesium_food_mg": float(np.mean([sum(meals) for _, _, meals in recalls])),
                "magnesium_supplement_mg": float(sum(products)),
            }
        )
    raw = pd.DataFrame([rows[place] for place in random.permutation(len(rows))])
    text = raw.to_csv(index=False, sep="\t", lineterminator="\n")
    pilot = raw["RECORD"] == "Pilot"
    return Extract(
        "nutrition_study.tsv", text.encode("utf-16"), len(raw), int(pilot.sum()), _in_order(truth, raw[~pilot]["ID"])
    )


EXTRACTS: dict[str, Callable[..., Extract]] = {
    "hospital": hospital,
    "insurer": insurer,
    "nutrition_study": nutrition_study,
}
