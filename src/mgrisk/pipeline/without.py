"""Step `without`: a bundle for people who lack some inputs, by pattern."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.missing_inputs import Pattern, patterns
from mgrisk.model.bundle import Bundle, read_bundle, recalibrate
from mgrisk.model.bundle_files import SUMS
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names
from mgrisk.storage.files import atomic_folder, sha256


def bundles_without(workspace: Workspace) -> str:
    """Write a bundle for people who lack some inputs, by pattern: calibrated on cycles that its model had not seen."""
    parent, folder = read_bundle(workspace.run.path(names.BUNDLE)), workspace.run.path(names.WITHOUT)
    people = workspace.people(DEVELOPMENT)
    log_odds = people.rows[[KEY]].merge(workspace.run.frame(names.LEFT_OUT), on=KEY, how="left")
    told = {"name": str(parent.about["name"]), "sha256": sha256(workspace.run.path(names.BUNDLE) / SUMS)}
    with atomic_folder(folder) as made:
        made_of = []
        for pattern in patterns(parent.features):
            if pattern.name not in log_odds:
                continue
            # The margin that gives these log-odds by the parent's map: what is fitted is the map from it.
            margin = (log_odds[pattern.name].to_numpy() - parent.calibrator.intercept) / parent.calibrator.slope
            without = [feature.name for feature in pattern.features]
            about = {"parent": told, "holds_for": f"{parent.about['holds_for']}; people without {', '.join(without)}"}
            try:
                child = recalibrate(
                    parent, np.nan_to_num(margin), people.y, people.design, method="logistic", told=about
                )
            except MgRiskError:
                continue  # too few cases: the parent is the better guess
            name = f"{parent.about['name']}-without-{pattern.name.replace('_', '-')}"
            card = f"# {name}\n\n{_card(parent, pattern, child.about['recalibration'])}"
            parts = {**child.parts, names.CARD: card.encode() + parent.parts.get(names.CARD, b"")}
            replace(child, about={**child.about, "name": name, "without": without}, parts=parts).write(
                made / pattern.name
            )
            made_of.append(pattern.name)
    return f"{len(made_of)} bundles in {folder}" if made_of else "none: too few cases, or one cycle"


def _card(parent: Bundle, pattern: Pattern, change: Mapping[str, Any]) -> str:
    missing = ", ".join(feature.label for feature in pattern.features)
    return (
        f"The model of {parent.about['name']} for people of whom these inputs are not known: {missing}. "
        f"Its log-odds are those of the parent without them, × {change['slope_of_parent']:.3f} "
        f"{change['intercept_of_parent']:+.3f}, fitted on {change['people']:,} people ({change['cases']:,} cases), "
        "each predicted by a model and a calibration of other cycles. For anybody who has one of these inputs the "
        "parent is to be taken.\n\nThe card of the parent, whose performance is not that of this bundle:\n\n"
    )


STEP = Step(
    "without",
    inputs=(*names.PEOPLE, names.BUNDLE, names.LEFT_OUT),
    outputs=(names.WITHOUT,),
    settings=DESCRIBED,
    action=bundles_without,
)
