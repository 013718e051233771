"""No message of a command shows a person's value."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.cli.main import main

CELL = "Zzyzx Jane-Doe 1950"
"""What is in a cell and must not be on the terminal; the searched part of it survives lower case and cutting."""
MODEL = ["--model", str(Path(__file__).parents[2] / "models" / "undiagnosed")]
COLUMNS = ("person_id", "age_years", "sex", "height_cm", "y", "wt", "stratum", "psu", "wave", "note")
LABELS = ["--outcome", "y", "--weight", "wt", "--strata", "stratum", "--psu", "psu"]
OWN = """
name = "own"
title = "Own"
[own]
file = "people.csv"
data = "SYNTHETIC"
outcome = "y"
period = "wave"
weight = "wt"
strata = "stratum"
psu = "psu"
[cohort]
outcome = "diabetes"
development = ["1"]
held_out = ["2"]
folds = 2
[model]
features = ["age_years", "sex", "height_cm"]
[model.spline_logistic]
c = [0.1]
"""
MAPPING = """
[keep]
y = "y"
note = "note"
[features.person_id]
from = "person_id"
[features.age_years]
from = "age_years"
[features.height_cm]
from = "height_cm"
unit = "in"
[features.sex]
from = "sex"
levels = { male = "male" }
"""
VISITS = """
[file]
encoding = "cp1252"
decimal = ","
[people]
person = "person_id"
last_by = "note"
[[exclude]]
from = "note"
codes = ["x*"]
[keep]
year = { from = "note", year = true }
[features.age_years]
from = "note"
age_at = "age_years"
[features.height_cm]
from = "height_cm"
unit = "ft_in"
[features.systolic_mmhg]
from = "height_cm"
part = 1
[features.energy_kcal]
from = ["y", "wt"]
combine = "sum"
rows = "mean"
[features.diabetes_told]
from = ["y", "sex"]
combine = "any"
rows = "any"
levels = "boolean"
"""
COMMANDS = {
    "validate": ["validate", "people.csv", *MODEL],
    "score": ["score", "people.csv", "-o", "out.csv", "--rejects", "rejects.csv", *MODEL],
    "score-strictly": ["score", "people.csv", "-o", "out.csv", "--strict", *MODEL],
    "score-as-parquet": ["score", "people.csv", "-o", "out.parquet", *MODEL],
    "explain": ["explain", "people.csv", "-o", "page.html", *MODEL],
    "evaluate": ["evaluate", "people.csv", *LABELS, "-o", "evaluated", *MODEL],
    "recalibrate": ["recalibrate", "people.csv", "--outcome", "y", "--method", "logistic", "-o", "bundle", *MODEL],
    "map": ["map", "people.csv", "--mapping", "mapping.toml", "-o", "mapped.csv"],
    "map-visits": ["map", "people.csv", "--mapping", "visits.toml", "-o", "mapped.csv"],
    "run": ["run", "own.toml", "--out", "run", "--until", "cohort"],
}


def people() -> list[dict[str, str]]:
    return [
        {
            "person_id": f"p{row}", "age_years": str(30 + row), "sex": ("male", "female")[row % 2], "height_cm": "170",
            "y": str(row // 2 % 2), "wt": "2", "stratum": str(row % 2), "psu": str(row // 4 % 4),
            "wave": str(1 + row // 20), "note": "",
        }
        for row in range(40)
    ]  # fmt: skip


def hostile_files() -> dict[str, bytes]:
    """Return what stands in people.csv: the cell in each column, in all of a row, and where CSV itself is broken."""

    def text(rows: list[dict[str, str]]) -> bytes:
        lines = [",".join(COLUMNS), *(",".join(row.values()) for row in rows)]
        return ("\n".join(lines) + "\n").encode()

    rows = people()
    found: dict[str, bytes] = {
        f"column {name}": text([{**row, name: f"{CELL} {place}"} for place, row in enumerate(rows)]) for name in COLUMNS
    }
    found |= {f"cell {name}": text([{**rows[0], name: CELL}, *rows[1:]]) for name in COLUMNS}
    whole, head = text(rows), ",".join(COLUMNS).encode()
    found |= {
        "ragged": whole + f"{CELL},{CELL}\n".encode(),
        "open quote": whole + f'"{CELL}'.encode(),
        "quote within": whole + f'a"{CELL}"b,{CELL}"\n'.encode(),
        "latin-1": whole + f"{CELL} ä,\n".encode("latin-1"),
        "nul": whole + f"{CELL}\0,\n".encode(),
        "row in place of the header": f"{CELL},50,male\n".encode() + whole,
        "formula": whole.replace(b"p1,", f"=cmd|'{CELL}',".encode()),
        "same heading twice": head + b",y\n" + f"{CELL},50,male,170,{CELL},1,1,1,1,,{CELL}\n".encode(),
    }
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_no_message_shows_a_cell(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(OWN, "utf-8")
    (tmp_path / "mapping.toml").write_text(MAPPING, "utf-8")
    (tmp_path / "visits.toml").write_text(VISITS, "utf-8")
    shown, statuses = {}, {}
    files = hostile_files()
    if command == "explain":  # a page for each file that is accepted takes its time
        files = {name: content for name, content in files.items() if not name.startswith(("cell ", "column "))}
    for name, content in files.items():
        (tmp_path / "people.csv").write_bytes(content)
        statuses[name] = main(COMMANDS[command])
        told = "".join(capfd.readouterr())
        if "zzyzx" in told.lower() or "doe" in told.lower():
            shown[name] = told
    assert shown == {}
    assert 1 not in statuses.values(), statuses
    assert set(statuses.values()) & {2, 3}, "nothing was refused"
