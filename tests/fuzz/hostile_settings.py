"""Hostile and invalid pipeline and mapping files, each with the expected error.

A kind is the bytes of the file and the code of its refusal, and what is changed in the people beside it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tomli_w

PEOPLE = "person_id,year,clinic,ill,age_years,sex,bmi_kg_m2\n" + "".join(
    f"p{n},{2014 + n % 4},{n // 4 % 9},{int(n % 5 == 0)},{30 + n % 40},{'male' if n % 2 else 'female'},{20 + n % 15}\n"
    for n in range(360)
)
PIPELINE: Mapping[str, Any] = {
    "name": "own",
    "title": "made up",
    "own": {"file": "people.csv", "data": "SYNTHETIC", "outcome": "ill", "period": "year", "psu": "clinic"},
    "cohort": {"outcome": "diabetes", "development": ["2014", "2015", "2016"], "held_out": ["2017"], "folds": 3},
    "model": {"features": ["age_years", "sex", "bmi_kg_m2"], "spline_logistic": {"c": [0.1]}},
}
MAPPING: Mapping[str, Any] = {
    "keep": {"ill": "ill"},
    "features": {"age_years": {"from": "age_years"}, "sex": {"from": "sex"}, "bmi_kg_m2": {"from": "bmi_kg_m2"}},
}
VALUE, KEY, NO_TOML, NO_FILE = (f"config.{code}" for code in ("bad_value", "unknown_key", "not_toml", "missing_file"))
MAP, NO_MAP, LONG = "mapping.bad_value", "mapping.missing_file", "system.enametoolong"
DAY = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
LARGE = 10**400
TEXTS = {"NUL": "a\0b", "escapes": "\x1b[2J\u202ea", "a long text": "v" * 100_000, "a line end": "a\nb", "nothing": ""}


class Kind(NamedTuple):
    """A file, the code of its refusal, and what of the people is put in the place of what, if anything."""

    content: bytes
    code: str
    people: tuple[str, str] = ("", "")


def changed(content: Mapping[str, Any], key: str, value: object) -> bytes:
    """Return a file with one value set, by a dotted key."""
    *parents, last = key.split(".")
    made = inner = _copied(content)
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return tomli_w.dumps(made).encode()


def _copied(content: Any) -> Any:
    return {key: _copied(value) for key, value in content.items()} if isinstance(content, Mapping) else content


def pipelines() -> dict[str, Kind]:
    """Return pipeline files by name."""
    found = {f"{key} = {value}"[:60]: Kind(changed(PIPELINE, key, value), code) for key, value, code in _values()}
    whole = tomli_w.dumps(PIPELINE).encode()
    found |= {f"pipeline: {name}": Kind(content, code) for name, (content, code) in _texts(whole, "config").items()}
    found |= {
        "an outcome with a third code": Kind(whole, "input.bad_outcome", (",0,", ",2,")),
        "a heading twice": Kind(whole, "input.duplicate_column", (",clinic,", ",year,")),
        "no rows": Kind(whole, "input.one_class", (PEOPLE[PEOPLE.index("\n") + 1 :], "")),
        "no people": Kind(whole, "input.empty", (PEOPLE, "")),
        "a person in both sets": Kind(whole, "own.person_in_both_sets", ("p1,", "p3,")),
        "a period that is not there": Kind(whole, "own.no_such_period", (",2017,", ",later,")),
        "no clinic": Kind(whole, "input.bad_design", (",0,0,", ",,0,")),
        "people that are no UTF-8": Kind(whole, "input.not_csv", ("person_id", "person_\udcff")),
    }
    return found


def _values() -> Iterator[tuple[str, object, str]]:
    """Yield keys of a pipeline file with values that they cannot have, and the code of the refusal."""
    for key in ("name", "own.file", "own.mapping", "own.data", "own.outcome", "own.label", "own.weight", "own.psu",
                "cohort.outcome", "model.choose", "tracking.uri", "tracking.register_as"):  # fmt: skip
        yield from ((key, value, VALUE) for value in (7, [["a"]], {"a": 1}, DAY))
    for key in ("cohort.folds", "cohort.seed", "cohort.minimum_age", "model.seed", "model.spline_logistic.knots",
                "own.held_out_share", "threads"):  # fmt: skip
        yield from ((key, value, VALUE) for value in ("many", [1], DAY, -1, 1e308, float("nan"), float("inf"), LARGE))
    for key in ("own", "cohort", "model", "model.spline_logistic", "tracking", "tracking.gate", "synthetic", "evidence",
                "sensitivity", "model.uncertainty", "model.sums", "model.xgboost"):  # fmt: skip
        yield from ((key, value, VALUE) for value in (7, "a", [1], [{"a": 1}]))
    for key in ("cohort.development", "cohort.held_out", "model.features"):
        yield from ((key, value, VALUE) for value in (7, "2014", [], [7], [["a"]], [{"a": 1}], ["a", "a"]))
    for key in ("own.fil", "own.a.b.c.d", "x", "model.spline_logistic.c2", "tracking.gate.slope", "own.a\0b",
                "own.\x1b[2J\u202ea", "model.uncertainty.x", "model.xgboost_monotone.y", "sensitivity.z", "evidence.z",
                "model.tuning.z", "own." + "k" * 5000):  # fmt: skip
        yield key, 1, KEY
    for name, text in TEXTS.items():
        empty = not text
        yield "own.outcome", text, VALUE if empty else "own.missing_column"
        yield "own.weight", text, VALUE if empty else "own.missing_column"
        yield "own.file", text, VALUE if empty else LONG if name == "a long text" else "input.missing_file"
        yield "cohort.held_out", [text], "own.no_such_period"
        yield "cohort.outcome", text, "outcomes.unknown"
        yield "model.features", [text, "sex"], "features.unknown"
        yield "model.choose", text, VALUE
        yield "model.sums", {"two": [text]}, VALUE
        yield "model.sums", {text: ["spline_logistic"]}, VALUE
        yield "own.data", text, VALUE
        yield "name", text, VALUE
        yield "tracking.experiment", text, VALUE
        yield "tracking.alias", text, VALUE
        if text:
            yield "own.mapping", text, LONG if name == "a long text" else NO_MAP
            yield "extends", text, LONG if name == "a long text" else NO_FILE
            yield "tracking.uri", text, VALUE
            yield "source", text, VALUE
    yield "extends", "settings.toml", "config.circle"
    yield "own.file", "settings.toml", "own.missing_column"
    yield "own.mapping", "settings.toml", MAP
    yield "own.file", ".", "input.folder"
    for link in ("/dev/zero", "pipe", "broken", "loop", "people.csv/x"):
        yield "own.file", link, "input.missing_file"
        yield "own.mapping", link, NO_MAP
        yield "extends", link, NO_FILE
    yield "own.weight", "sex", "input.one_class"
    yield "own.outcome", "year", "input.bad_outcome"
    yield "own.period", "person_id", "own.no_such_period"
    yield "own.strata", "person_id", "own.single_psu"
    yield "model.features", ["hba1c_percent", "sex"], "leakage.marker"
    yield "model.leave_out", ["age_years", "sex", "bmi_kg_m2"], "features.none_left"
    yield "cohort.folds", 20, "own.few_units"


def mappings() -> dict[str, Kind]:
    """Return mapping files by name."""
    found: dict[str, Kind] = {}
    for key in ("missing", "keep", "features", "features.sex", "features.sex.from", "features.sex.levels",
                "features.sex.missing", "features.sex.unit", "features.age_years.factor", "features.age_years.offset",
                "keep.ill", "file", "file.encoding", "file.separator", "file.decimal", "file.dates", "people",
                "people.person", "exclude", "features.age_years.combine", "features.age_years.rows",
                "features.age_years.part", "features.age_years.year", "features.age_years.constant"):  # fmt: skip
        for value in ([7], {"a": [1]}, DAY, float("nan"), LARGE):
            found[f"{key} = {value}"[:60]] = Kind(changed(MAPPING, key, value), MAP)
    for name, text in TEXTS.items():
        empty = not text
        for key in ("features.sex.from", "keep.ill"):
            found[f"{key} of {name}"] = Kind(changed(MAPPING, key, text), MAP if empty else "mapping.missing_column")
        found[f"person of {name}"] = Kind(
            changed(MAPPING, "people.person", text), MAP if empty else "mapping.missing_column"
        )
        found[f"excluded by {name}"] = Kind(
            changed(MAPPING, "exclude", [{"from": text, "codes": ["1"]}]), MAP if empty else "mapping.missing_column"
        )
        for key in ("encoding", "separator", "decimal", "dates"):
            found[f"{key} of {name}"] = Kind(changed(MAPPING, f"file.{key}", text), MAP)
        if text:
            found[f"unit of {name}"] = Kind(changed(MAPPING, "features.bmi_kg_m2.unit", text), "mapping.bad_unit")
        found[f"level of {name}"] = Kind(changed(MAPPING, "features.sex.levels", {"1": text}), "mapping.bad_level")
        found[f"feature of {name}"] = Kind(
            changed(MAPPING, "features", {text: {"from": "sex"}}), "mapping.unknown_feature"
        )
        found[f"key of {name}"] = Kind(changed(MAPPING, "features.sex", {"from": "sex", text: 1}), MAP)
    found["factor = inf"] = Kind(changed(MAPPING, "features.bmi_kg_m2.factor", float("inf")), MAP)
    found["factor = 1e308"] = Kind(changed(MAPPING, "features.bmi_kg_m2.factor", 1e308), "mapping.infinite")
    found["age at a list"] = Kind(changed(MAPPING, "features.age_years.age_at", [7]), MAP)
    found["a sum of infinity"] = Kind(
        changed(MAPPING, "features.bmi_kg_m2", {"from": ["bmi_kg_m2"] * 2, "combine": "sum", "factor": 1e307}),
        "mapping.infinite",
    )
    found["another encoding"] = Kind(changed(MAPPING, "file.encoding", "utf-16"), "input.not_csv")
    found["another separator"] = Kind(changed(MAPPING, "file.separator", ";"), "mapping.missing_column")
    whole = tomli_w.dumps(MAPPING).encode()
    found["a column twice"] = Kind(whole.replace(b"ill =", b"sex ="), MAP)
    found |= {f"mapping: {name}": Kind(content, code) for name, (content, code) in _texts(whole, "mapping").items()}
    return found


def _texts(whole: bytes, prefix: str) -> dict[str, tuple[bytes, str]]:
    """Return files that are no TOML, or not what they should be."""
    broken = {
        "NUL": whole + b"\0",
        "no UTF-8": whole + b"# \xff",
        "UTF-16": whole.decode().encode("utf-16"),
        "a key twice": b"a = 1\na = 2\n" + whole,
        "a table twice": whole + b"\n[a]\n[a]\n",
        "deep arrays": b"a = " + b"[" * 5000 + b"]" * 5000,
        "deep tables": b"a = " + b"{a=" * 5000 + b"1" + b"}" * 5000,
        "a number of 5,000 digits": b"a = 1" + b"0" * 5000,
        "cut in a text": whole[: whole.index(b'"') + 2],
        "a day that is none": b"a = 2024-02-31",
        "JSON": b'{"name": "own"}',
        "YAML": b"name: own\nown:\n  file: x\n",
        "a surrogate": b'a = "\\ud800"',
        "a Windows path": b'a = "C:\\Users"',
        "a control character": b'a = "\x1b[2J"',
    }
    found = {name: (content, f"{prefix}.not_toml") for name, content in broken.items()}
    unknown = KEY if prefix == "config" else MAP
    found["2 MB"] = b"#" * (2 << 20), f"{prefix}.missing_file"
    found["no bytes"] = b"", f"{prefix}.bad_value"
    found["a deep key"] = b".".join([b"a"] * 20_000) + b" = 1", unknown
    found["a number of 5,000 hexadecimal digits"] = b"a = 0x1" + b"0" * 5000, unknown
    return found
