"""`mgrisk models`, `mgrisk promote` and `mgrisk report`: the bundles at hand, the alias, a run told again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mgrisk.commands.which import asked_registry, registry_uri
from mgrisk.errors import bad_input

COLUMNS = ("name", "kind", "outcome", "learner", "features", "data", "auroc", "promotion")
RUNS = Path("runs")


def add(commands: Any, *, parents: Sequence[argparse.ArgumentParser], action: Callable[..., int]) -> None:
    """Add the commands; `action` prints what `options.lines(options)` returns."""
    models = commands.add_parser("models", parents=list(parents), help="bundles and versions in the registry")
    models.add_argument("--format", choices=["table", "json"], default="table")
    models.set_defaults(action=action, lines=_models)
    promoted = commands.add_parser(
        "promote", parents=list(parents), help="give a registered version the alias, whatever the gate of its run said"
    )
    promoted.add_argument("name", metavar="NAME@VERSION", help="or NAME@ALIAS, such as NAME@challenger")
    promoted.add_argument("--alias", default="champion", metavar="ALIAS", help="the alias it gets (champion)")
    promoted.add_argument("--because", required=True, metavar="REASON", help="kept with the version")
    promoted.set_defaults(action=action, lines=_promote)
    report = commands.add_parser("report", parents=list(parents), help="write the report of a finished run again")
    report.add_argument("run", metavar="RUN", help="run folder")
    report.set_defaults(action=action, lines=_report)


def found_models() -> list[dict[str, Any]]:
    """Return what `--model` may name, a row each: released bundles, those of run folders, versions in the registry.

    Returns
    -------
    list
        {name, kind (released | run | registry), outcome, learner, features, data, auroc, model, version, aliases}:
        `auroc` is that of the held-out cycle where the run's evaluation is at hand. A bundle that cannot be read is
        there with what is wrong with it as its `data`.
    """
    from mgrisk.model.released import released_bundles

    rows = [_bundle_row(name, "released", folder) for name, folder in released_bundles().items()]
    folders = sorted(path.parent for path in RUNS.glob("*/bundle")) if RUNS.is_dir() else []
    rows += [_bundle_row(str(folder / "bundle"), "run", folder / "bundle", run=folder) for folder in folders]
    uri = registry_uri()
    if uri is not None:
        from mgrisk.track import registered

        rows += [version.to_dict() for version in registered(uri=uri)]
    return rows


def _bundle_row(name: str, kind: str, folder: Path, *, run: Path | None = None) -> dict[str, Any]:
    from mgrisk.errors import MgRiskError
    from mgrisk.model.bundle import load_bundle

    try:
        about = load_bundle(folder).about
    except MgRiskError as problem:
        return {"name": name, "kind": kind, "data": f"cannot be loaded: {problem.code}"}
    return {
        "name": name,
        "kind": kind,
        "outcome": about["outcome"]["name"],
        "learner": about["learner"],
        "features": len(about["features"]),
        "data": about["data"],
        "auroc": _held_out_auroc(run, about["learner"]) if run else None,
    }


def _held_out_auroc(run: Path, model: str) -> float | None:
    try:
        records = json.loads((run / "evaluation.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    for record in records:
        of_all = record["model"] == model and record["metric"] == "auroc" and record["group"] == "all"
        if of_all and record["set"] != "cross-validated":
            return None if record["estimate"] is None else float(record["estimate"])
    return None


def _models(options: argparse.Namespace) -> list[str]:
    rows = found_models()
    if options.format == "json":
        return [json.dumps(rows, indent=1, ensure_ascii=False)]
    cells = [COLUMNS, *(tuple(_cell(row.get(name)) for name in COLUMNS) for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _promote(options: argparse.Namespace) -> list[str]:
    from mgrisk.track import promote

    version = promote(options.name, alias=options.alias, because=options.because, uri=asked_registry(options.name))
    return [f"{options.name.partition('@')[0]} version {version} is {options.alias}: {options.because}"]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _report(options: argparse.Namespace) -> list[str]:
    from mgrisk.report.render import write_report

    folder = Path(options.run)
    if not (folder / "manifest.json").is_file():
        raise bad_input(
            "report.no_run",
            "this is not the folder of a run",
            where=str(folder),
            hint="name a folder that `mgrisk run` wrote, such as runs/demo",
        )
    written = write_report(folder)
    failed = [f"could not be made: {', '.join(written.failed_sections)}"] if written.failed_sections else []
    return [*failed, f"report: {written.path} ({written.size / 2**20:.1f} MB)"]
