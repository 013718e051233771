"""Bundles with one error in a JSON value, an array or a file, and with valid checksums.

`of_every_kind` has a bundle for each kind of file. `mutations` yields damaged, edited and hostile copies of one.
`verdict` tells whether such a bundle is refused when it is loaded, with exit status 5, or gives finite risks.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk.errors import ExitStatus, MgRiskError, shown
from mgrisk.explain.attributions import build
from mgrisk.features.compute import typed
from mgrisk.features.energy_adjusted import EnergyAdjusted
from mgrisk.features.mixed_model import BoxCox, Covariates, Term
from mgrisk.features.registry import features
from mgrisk.features.usual_intake_model import UsualIntakeModel
from mgrisk.features.usual_magnesium import GROUPS, UsualMagnesium
from mgrisk.model.bundle import Bundle
from mgrisk.model.bundle_files import CARD, SUMS
from mgrisk.model.calibration import Calibrator
from mgrisk.model.explainable_boosting import FittedShapes, Shape
from mgrisk.model.reference import describe
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.scorer import load_scorer

ROOT = Path(__file__).parents[2]
PEOPLE = ROOT / "data" / "examples" / "people.csv"
Files = dict[str, bytes]
Make = Callable[[], Files]
DEEP = "[" * 5_000 + "]" * 5_000
DELETED: Any = object()
WRONG: tuple[Any, ...] = (
    DELETED, None, "x", "", "NaN", True, 0, -1, 1e308, -1e308, 1e-308, 10**400, float("nan"), float("inf"),
    [], {}, [[[[1.0]]]], "\x1b[31m\n", "a" * 100_000, "DEEP",
)  # fmt: skip
"""What stands in place of a leaf."""


def _shapes(folder: Path) -> None:
    """Write a bundle of shape functions whose features need both kinds of fitted models."""
    chosen = features(["age_years", "sex", "bmi_kg_m2", "usual_magnesium_total_mg", "magnesium_energy_adjusted_mg"])
    random = np.random.default_rng(4)
    people = typed(
        pd.DataFrame(
            {
                "age_years": random.uniform(20, 80, 200),
                "sex": random.choice(["female", "male"], 200),
                "bmi_kg_m2": random.normal(28, 5, 200),
                "usual_magnesium_total_mg": random.gamma(8, 40, 200),
                "magnesium_energy_adjusted_mg": random.gamma(8, 40, 200),
            }
        ),
        chosen,
    )
    groups = Covariates((Term("age", tuple(GROUPS.values())),), np.full(3, 0.25))
    usual = UsualIntakeModel(
        BoxCox(0.3, 5.0), groups, np.array([15.0, 0.1, 0.2, 0.1]), -0.1, 0.1, 2.0, 3.8, 90, 40, 1.0
    )
    cuts = {0: np.array([35.0, 50.0]), 2: np.array([25.0, 30.0]), 3: np.array([200.0, 300.0])}
    shapes = tuple(
        Shape(of, tuple(cuts[each] for each in of), random.normal(size=[len(cuts[each]) + 2 for each in of]))
        for of in ((0,), (2,), (3, 2))
    )
    whole = Bundle(
        about={
            **json.loads((ROOT / "models" / "undiagnosed" / "bundle.json").read_bytes()),
            "name": "toy", "learner": "shapes", "synthetic": True, "data": "SYNTHETIC",
        },
        features=chosen,
        fitted=FittedShapes(-1.0, shapes),
        calibrator=Calibrator(0.1, 0.9, np.eye(2) / 100, 20),
        reference=describe(people, chosen, np.ones(200)),
        parts={},
        models={
            "usual_magnesium": UsualMagnesium({"female": usual, "male": usual}),
            "energy_adjusted": EnergyAdjusted(0.8, 7.6, 100),
        },
    )  # fmt: skip
    _, X = whole.encode(people)
    replace(whole, parts=build(whole.fitted, whole.encoder, X, np.ones(200))).write(folder)


def _files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name not in (SUMS, CARD)}


def of_every_kind(folder: Path) -> dict[str, Files]:
    """Return the files of a bundle of each kind, without card and sums; `folder` is written in."""
    old = ROOT / "tests" / "golden" / "format_1"
    _shapes(folder / "shapes")
    return {
        "additive": _files(ROOT / "models" / "undiagnosed"),
        "splines": _files(old / "diabetes"),
        "sum": _files(old / "undiagnosed"),
        "shapes": _files(folder / "shapes"),
    }


def _leaves(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each value stands, containers included; of a list the first, the middle and the last."""
    yield path
    if isinstance(content, dict):
        for key in content:
            yield from _leaves(content[key], (*path, key))
    elif isinstance(content, list):
        for place in sorted({0, len(content) // 2, len(content) - 1} & set(range(len(content)))):
            yield from _leaves(content[place], (*path, place))


def _with(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return {} if value is DELETED else value
    changed = deepcopy(content)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    if value is DELETED:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return changed


def _of_array(array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "of objects", np.array(["x"] * max(array.size, 1))
    yield "complex", array.astype(complex)
    yield "of whole numbers", array.astype(np.int16)
    yield "empty", array[..., :0] if array.ndim else np.empty(0)
    yield "of another shape", np.stack([array, array])
    yield "longer", np.concatenate([array.ravel(), array.ravel()[:1]])
    for value in (math.nan, math.inf, 1e308, -1e308, -1, 0, 2**40):
        for place in {0, array.size - 1} if array.size else ():
            with np.errstate(all="ignore"):
                changed = array.copy()
                changed.flat[place] = np.float64(value).astype(array.dtype)
            yield f"{value} at {place}", changed


def mutations(files: Files) -> Iterator[tuple[str, Make]]:
    """Yield what is wrong, and what makes the files."""
    for name, content in files.items():
        for what, held in (("empty", b""), ("of nothing but brackets", b"[" * 100_000), ("a list", b"[]")):
            yield f"{name} {what}", partial(_replaced, files, name, held)
        yield f"{name} gone", partial(_replaced, files, name, None)
        if name.endswith(".json"):
            whole = json.loads(content)
            for path in _leaves(whole):
                where = f"{name} {'.'.join(map(str, path))}"
                for value in WRONG if path else (None, {}, "x", 1):
                    shown = "deleted" if value is DELETED else repr(value)[:20]
                    yield f"{where} {shown}", partial(_edited, files, name, whole, path, value)
        if name.endswith(".npz"):
            with np.load(io.BytesIO(content)) as stored:
                arrays = dict(stored)
            for each, array in arrays.items():
                for what, other in (("gone", None), *_of_array(array)):
                    yield f"{name} {each} {what}", partial(_repacked, files, name, arrays, each, other)
    yield "another file", partial(_replaced, files, "more.json", b"{}")
    for name in ("sum.json", "additive.json", "shapes.json", "coefficients.json", "fitted_features.json"):
        if name not in files:
            yield f"a {name} beside", partial(_replaced, files, name, b"{}")


def _replaced(files: Files, name: str, content: bytes | None) -> Files:
    return {each: held for each, held in (files | {name: content}).items() if held is not None}


def _edited(files: Files, name: str, whole: Any, path: tuple[Any, ...], value: Any) -> Files:
    return files | {name: json.dumps(_with(whole, path, value)).replace('"DEEP"', DEEP).encode()}


def _repacked(
    files: Files, name: str, arrays: Mapping[str, NDArray[Any]], each: str, other: NDArray[Any] | None
) -> Files:
    content = io.BytesIO()
    np.savez(content, **{key: held for key, held in {**arrays, each: other}.items() if held is not None})
    return files | {name: content.getvalue()}


@dataclass(frozen=True)
class Verdict:
    """What came of a bundle: `refused`, `scored`, or what must not be, in `wrong`."""

    kind: str
    wrong: str = ""


@functools.cache
def _people_rows() -> int:
    with PEOPLE.open(newline="") as stream:
        return sum(1 for _ in csv.reader(stream)) - 1


def verdict(files: Files, folder: Path) -> Verdict:
    """Load a bundle and score the example people, in a folder that is emptied first."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    (folder / SUMS).write_text(sums)
    try:
        scorer = load_scorer(folder)
    except MgRiskError as problem:
        if problem.status != ExitStatus.BUNDLE:
            return Verdict("wrong status", f"{problem.status} {problem.code}")
        # A name in it may hold anything: the command escapes each line (`cli.terminal.shown`).
        if any(len(line) > 2_000 or shown(line).count("\n") for line in problem.lines()):
            return Verdict("no one sentence", repr(problem.lines())[:300])
        return Verdict("refused")
    except Exception as problem:  # noqa: BLE001  # whatever else comes out is the finding
        return Verdict("bug at loading", f"{type(problem).__name__}: {problem}"[:200])
    target = folder / "scored.csv"
    try:
        scorer.schema()
        score_table(scorer, str(PEOPLE), str(target), BatchOptions(reasons=2))
    except MgRiskError as problem:
        return Verdict("refused late", f"{problem.status} {problem.code}")
    except Exception as problem:  # noqa: BLE001
        return Verdict("bug in scoring", f"{type(problem).__name__}: {problem}"[:200])
    with target.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    if len(rows) != _people_rows():
        return Verdict("lost rows", str(len(rows)))
    for row in rows:
        if row["status"] != "scored":
            continue
        low, risk, high = (float(row[name] or "nan") for name in ("risk_low", "risk", "risk_high"))
        effects = [float(row[f"reason_{k}_effect"]) for k in (1, 2) if row[f"reason_{k}"]]
        if not (0 <= low <= risk <= high <= 1 and all(map(math.isfinite, effects))):
            return Verdict("not finite", f"{low} {risk} {high} {effects}")
    return Verdict("scored")
