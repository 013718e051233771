"""`mgrisk models`: list released bundles, those of runs, and versions in the registry."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mgrisk.cli.terminal import aligned, say
from mgrisk.errors import ExitStatus
from mgrisk.models import registry_uri, run_bundles

HELP = "list released models, those of runs, and registered versions"
ABOUT = (
    "List the models that --model accepts, with AUROC and observed/expected in held-out people, 95 % intervals and "
    "the number of inputs."
)
EXAMPLES = (
    "mgrisk models",
    "mgrisk models --format json",
)
COLUMNS = (
    "name", "kind", "outcome", "model", "inputs", "data", "AUROC", "observed/expected", "promotion", "digest", "parent",
)  # fmt: skip
SHORT = 12
"""Characters shown of a sha256."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--format", choices=["table", "json"], default="table", help="format of the output (table)")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    rows = found_models()
    if options.format == "json":
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return ExitStatus.DONE
    print("\n".join(aligned([COLUMNS, *map(_cells, rows)])))
    say("AUROC and observed/expected in held-out people, with 95 % intervals")
    return ExitStatus.DONE


def found_models() -> list[dict[str, Any]]:
    """Return one row for each model that `--model` accepts: released, in a run folder, or in the registry.

    Returns
    -------
    list
        {name, kind (released | run | registry), outcome, learner, features, data, auroc, performance, digest, sha256,
        parent, holds_for, model, version, aliases}: `sha256` is that of SHA256SUMS, and `digest` its first characters,
        which `--model` accepts; `performance` is that in held-out people, with `auroc` and `observed_expected` as
        estimate and bounds of the 95 % interval; `auroc` is its estimate. For a bundle that cannot be read, `data`
        has the error.
    """
    from mgrisk.model.released import released_bundles

    rows = [_bundle_row(name, "released", folder) for name, folder in released_bundles().items()]
    rows += [_bundle_row(str(folder), "run", folder) for folder in run_bundles()]
    uri = registry_uri()
    if uri is not None:
        from mgrisk.track import registered

        rows += [version.to_dict() for version in registered(uri=uri)]
    return rows


def _bundle_row(name: str, kind: str, folder: Path) -> dict[str, Any]:
    from mgrisk.errors import MgRiskError
    from mgrisk.model.bundle import read_about
    from mgrisk.storage.files import SUMS, sha256

    try:
        about = read_about(folder)
    except MgRiskError as problem:
        return {"name": name, "kind": kind, "data": f"cannot be loaded: {problem.code}"}
    digest = sha256(folder / SUMS)
    performance = about.get("performance")
    return {
        "name": name,
        "kind": kind,
        "outcome": about["outcome"]["name"],
        "learner": about["learner"],
        "features": len(about["features"]),
        "data": about["data"],
        "auroc": performance["auroc"][0] if performance else None,
        "performance": performance,
        "version": about["mgrisk"],
        "digest": digest[:SHORT],
        "sha256": digest,
        "parent": about.get("parent", {}).get("name"),
        "holds_for": about.get("holds_for"),
    }


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    performance = row.get("performance") or {"auroc": [row.get("auroc")], "observed_expected": [None]}
    shown = {
        **row,
        "model": row.get("learner"),
        "inputs": row.get("features"),
        "AUROC": _interval(performance["auroc"], 3),
        "observed/expected": _interval(performance["observed_expected"], 2),
    }
    return tuple("-" if shown.get(name) is None else str(shown[name]) for name in COLUMNS)


def _interval(values: Sequence[float | None], digits: int) -> str:
    estimate, *bounds = ("-" if value is None else f"{value:.{digits}f}" for value in values)
    return f"{estimate} ({bounds[0]} to {bounds[1]})" if bounds else estimate
