"""Step `stability`: stability of the reasons of held-out people when the chosen model is refitted.

Tuning, weights of an ensemble and calibration are kept; only the fit changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.explain.attributions import Explainer, build
from mgrisk.explain.stability import first_reason_stability, stability
from mgrisk.model.bundle import Bundle
from mgrisk.model.learners import Fitted
from mgrisk.model.uncertainty import OUT
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.trained import read_trained, refitter
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.run_folder import names
from mgrisk.survey.variance import rao_wu
from mgrisk.types import Floats

REPLICATES: Final = 10
SEEDS: Final = 3
SEED: Final = 20_261_126
PSUS, FOLDS, SEED_OF_FIT = "psus", "folds", "seed"
METHODS: Final = {
    PSUS: "PSUs resampled (Rao-Wu bootstrap)",
    FOLDS: "one fold of PSUs left out",
    SEED_OF_FIT: "another random seed",
}


def refit_and_explain(workspace: Workspace) -> str:
    """Write stability.json, by method of refitting, and stability.parquet, by held-out person."""
    tuning = workspace.run.tuning
    winner = tuning.winner
    bundle = read_trained(workspace, winner)
    development, held_out = workspace.people(DEVELOPMENT), workspace.people(HELD_OUT)
    background = bundle.encode(development.frame.iloc[development.inside])[1]
    weight = development.design.analysis_weight[development.inside]
    _, X = bundle.encode(held_out.frame.iloc[held_out.inside])
    reported = Explainer(bundle).values(X)
    found: dict[str, list[Floats]] = {way: [] for way in METHODS}
    for way, fitted in _refits(workspace, bundle, development):
        tables = build(fitted, bundle.encoder, background, weight)
        refitted = replace(bundle, fitted=fitted, parts={**bundle.parts, **tables})
        found[way].append(Explainer(refitted).values(X))
    of_people = held_out.design.analysis_weight[held_out.inside]
    features = [feature.name for feature in bundle.features]
    ways = []
    for way, values in found.items():
        record = stability(reported, values, of_people)
        ways.append(
            {
                "way": way,
                "label": METHODS[way],
                **record,
                "ranks": dict(zip(features, record["ranks"], strict=True)),
                # Spline models use no random numbers, so that another seed gives the same fit up to rounding.
                "moved": round(max(float(np.abs(each - reported).max()) for each in values), 12),
            }
        )
    # The stability of a person's reasons covers sampling only; refits with other seeds are summarised above.
    firm = first_reason_stability(reported, [*found[PSUS], *found[FOLDS]])
    workspace.run.write_object(
        names.STABILITY,
        {"learner": winner, "set": HELD_OUT, "ways": ways},
    )
    people = pd.DataFrame({KEY: held_out.rows[KEY].to_numpy()[held_out.inside], "firmness": firm})
    workspace.run.write_frame(names.FIRMNESS, people)
    share = float(np.average(firm, weights=of_people))
    refits = len(found[PSUS] + found[FOLDS])
    return f"held-out people keep the same largest contribution in {share:.0%} of {refits} refits"


def _refits(workspace: Workspace, bundle: Bundle, development: SetOfPeople) -> Iterator[tuple[str, Fitted]]:
    fold = workspace.fold(development)
    same = refitter(workspace, bundle, development)
    for factors in rao_wu(development.design, replicates=REPLICATES, seed=SEED).factors:
        yield PSUS, same.model(same(np.maximum(factors, OUT)[development.design.cluster]))[0]
    for k in np.unique(fold[development.inside]):
        yield FOLDS, same.model(same(np.where(fold == k, 0.0, 1.0)))[0]
    for number in range(SEEDS):
        other = refitter(workspace, bundle, development, seed=SEED + number)
        yield SEED_OF_FIT, other.model(other(None))[0]


STEP = Step(
    "stability",
    "refit the model, and compare explanations",
    inputs=(*names.PEOPLE, names.TARGETS, names.FOLDS, names.TRAINED, names.TUNING),
    outputs=names.REFITTED,
    logged=(names.STABILITY,),
    settings=MODEL,
    action=refit_and_explain,
)
