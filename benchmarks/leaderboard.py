"""Make the tables of docs/leaderboard.md: every entry of benchmarks/entries on the task of an outcome.

    python benchmarks/leaderboard.py undiagnosed --out leaderboard.md

Each module in benchmarks/entries has `enter(people, X)`, which returns the risks of an entry (SEQN, risk), and
optionally `claim(people, X)`, the AUROC by the evaluation that usually goes with the method. `people` are those of the
task with their outcome; `X` are the inputs of mgrisk's model as numbers, a column for each level of a category, NaN
if missing.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config.pipeline_file import load
from mgrisk.evaluate.records import Interval
from mgrisk.model.bundle import read_bundle
from mgrisk.pipeline.benchmark import open_task
from mgrisk.pipeline.workspace import Workspace
from mgrisk.report.formats import interval, model_label
from mgrisk.report.leaderboard import SHOWN, is_of
from mgrisk.run_folder import names
from mgrisk.run_folder.benchmark import Entered, Task, enter

ENTRIES = Path(__file__).parent / "entries"


def entries() -> dict[str, ModuleType]:
    """Return the modules of the entries by name."""
    found = {}
    for path in sorted(ENTRIES.glob("*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        found[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[path.stem])
    return found


def inputs(task: Task) -> pd.DataFrame:
    """Return the inputs of mgrisk's model, a row for each of the task's people and in their order."""
    run = task.run
    workspace = Workspace(load(run.path(names.RESOLVED)), run.folder)
    bundle = read_bundle(run.path(run.bundle_of_winner))
    parts = []
    for set_name in (DEVELOPMENT, HELD_OUT):
        people = workspace.people(set_name)
        X = pd.DataFrame(people.encoded(bundle), columns=[column.name for column in bundle.encoder.columns])
        parts.append(X.assign(SEQN=people.rows["SEQN"].to_numpy()).iloc[people.inside])
    return pd.concat(parts).set_index("SEQN").loc[task.people["SEQN"]].reset_index(drop=True).astype("float64")


def line(entered: Entered, set_name: str, model: str, claim: str) -> str:
    """Return a row of the table: a model's metrics in a set, and its AUROC minus that of the ADA test."""
    of_model = entered.metrics.query("set == @set_name and model == @model")
    records: dict[str, dict[Any, Any]] = {each["metric"]: each for each in of_model.to_dict("records")}
    cells = [interval(Interval.of(records[metric]), digits=digits) for metric, (_, digits) in SHOWN.items()]
    less = entered.differences.query("set == @set_name and model == @model and reference == 'ada:logistic'")
    found = {each["metric"]: each for each in less.to_dict("records")}.get("auroc")
    cells.append(interval(Interval.of(found), signed=True) if found else "")
    name = f"`{model}`" if model == entered.name else model_label(model)
    return f"| {name} | {records['auroc']['n']:,} | {' | '.join(cells)} | {claim} |"


def main() -> None:
    """Run every entry and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outcome")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    task = open_task(options.outcome, run=options.run)
    X = inputs(task)
    cohort = task.run.frame(names.COHORT_PEOPLE)
    people = task.people.merge(cohort[["SEQN", "prediabetes"]], on="SEQN", validate="one_to_one")
    entered, claims = [], {}
    for name, module in entries().items():
        entered.append(enter(task, name, module.enter(people, X)))
        claims[name] = f"{module.claim(people, X):.3f}" if hasattr(module, "claim") else ""
        print(name, flush=True)
    head = ["Model", "People", *(label for label, _ in SHOWN.values()), "AUROC minus ADA's", "AUROC as it would claim"]
    lines = [is_of(task), ""]
    others = [model for model in dict.fromkeys(entered[0].metrics["model"]) if model != entered[0].name]
    for set_name in dict.fromkeys(entered[0].metrics["set"]):
        lines += [f"**{set_name}**", "", f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
        lines += [line(entered[0], set_name, model, "") for model in others]
        lines += [line(each, set_name, each.name, claims[each.name]) for each in entered]
        lines.append("")
    for each in entered:
        lines += [
            f"- `{each.name}`: {found.set + ': ' if found.set else ''}{found.sentence}." for found in each.findings
        ]
    options.out.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
