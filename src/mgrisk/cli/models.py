"""`mgrisk models`: the bundles at hand, and versions in the registry."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mgrisk.errors import ExitStatus
from mgrisk.models import registry_uri, run_bundles

HELP = "list released models, those of runs, and registered versions"
ABOUT = (
    "List what --model takes, with the AUROC and observed/expected of held-out people, 95 % intervals and the "
    "number of inputs."
)
EXAMPLES = (
    "mgrisk models",
    "mgrisk models --format json",
)
COLUMNS = ("name", "kind", "outcome", "learner", "features", "data", "auroc", "promotion", "digest", "parent")
SHORT = 12
"""Signs of a sha256 that are shown."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--format", choices=["table", "json"], default="table", help="of what is printed (table)")


def run(options: argparse.Namespace) -> int:
    """Do it, and return the exit status."""
    rows = found_models()
    if options.format == "json":
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return ExitStatus.DONE
    cells = [COLUMNS, *(tuple(_cell(row.get(name)) for name in COLUMNS) for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(COLUMNS))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return ExitStatus.DONE


def found_models() -> list[dict[str, Any]]:
    """Return what `--model` may name, a row each: released bundles, those of run folders, versions in the registry.

    Returns
    -------
    list
        {name, kind (released | run | registry), outcome, learner, features, data, auroc, digest, sha256, parent,
        holds_for, model, version, aliases}: `sha256` is that of SHA256SUMS, and `digest` its first signs,
        as `--model` takes them;
        `auroc` is that of the held-out cycle where the run's evaluation is at hand. A bundle that cannot be read is
        there with what is wrong with it as its `data`.
    """
    from mgrisk.model.bundle import released_bundles

    rows = [_bundle_row(name, "released", folder) for name, folder in released_bundles().items()]
    rows += [_bundle_row(str(folder), "run", folder, run=folder.parent) for folder in run_bundles()]
    uri = registry_uri()
    if uri is not None:
        from mgrisk.track import registered

        rows += [version.to_dict() for version in registered(uri=uri)]
    return rows


def _bundle_row(name: str, kind: str, folder: Path, *, run: Path | None = None) -> dict[str, Any]:
    from mgrisk.errors import MgRiskError
    from mgrisk.model.bundle import read_about
    from mgrisk.storage.files import SUMS, sha256

    try:
        about = read_about(folder)
    except MgRiskError as problem:
        return {"name": name, "kind": kind, "data": f"cannot be loaded: {problem.code}"}
    digest = sha256(folder / SUMS)
    return {
        "name": name,
        "kind": kind,
        "outcome": about["outcome"]["name"],
        "learner": about["learner"],
        "features": len(about["features"]),
        "data": about["data"],
        "auroc": _held_out_auroc(run, about["learner"]) if run else None,
        "version": about["mgrisk"],
        "digest": digest[:SHORT],
        "sha256": digest,
        "parent": about.get("parent", {}).get("name"),
        "holds_for": about.get("holds_for"),
    }


def _held_out_auroc(run: Path, model: str) -> float | None:
    from mgrisk.errors import MgRiskError
    from mgrisk.evaluate.assess import CROSS_VALIDATED
    from mgrisk.run_folder.folder import RunFolder

    try:
        records = RunFolder(run).evaluation.where(model=model, metric="auroc", group="all")
    except MgRiskError:
        return None
    return next((record.estimate for record in records if record.set != CROSS_VALIDATED), None)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
