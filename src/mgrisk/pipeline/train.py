"""Step `train`: tune, calibrate and refit every candidate model; write their bundles and out-of-fold predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mgrisk import __version__
from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.explain import attributions
from mgrisk.model import calibration, reference, uncertainty
from mgrisk.model.bundle import Bundle
from mgrisk.model.train import Trained, TrainedModel, train
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import DESCRIBED, Step
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.run_folder import names
from mgrisk.storage.files import atomic_folder


def make_model(workspace: Workspace) -> str:
    """Tune, calibrate and refit every model; write their bundles, out-of-fold predictions and tuning results."""
    people = workspace.people(DEVELOPMENT)
    data = workspace.training_data(people)
    trained = train(
        data,
        features=workspace.model_features,
        settings=workspace.pipeline.model,
        threads=workspace.pipeline.threads,
    )
    with atomic_folder(workspace.run.path(names.TRAINED)) as part:
        for name, bundle in _bundles(workspace, people, trained).items():
            bundle.write(part / name)
    margins = {
        f"{name}_{kind}": values
        for name, model in trained.models.items()
        for kind, values in (("margin", model.oof_margin), ("risk", model.oof_risk))
    }
    oof = people.rows[[KEY]].assign(fold=data.fold, outcome=people.y, weight=people.design.analysis_weight, **margins)
    workspace.run.write_frame(names.OUT_OF_FOLD, oof.iloc[people.inside].reset_index(drop=True))
    workspace.run.write_object(
        names.TUNING,
        {
            "winner": trained.winner,
            "models": {name: model.to_dict() for name, model in trained.models.items()},
            "candidates": [candidate.to_dict() for part in trained.tuned for candidate in part.candidates],
        },
    )
    tried = sum(len(part.candidates) for part in trained.tuned)
    best = trained.models[trained.winner]
    return f"{tried} candidates, {len(trained.models)} models, best {trained.winner} (log loss {best.log_loss:.4f})"


def _bundles(workspace: Workspace, people: SetOfPeople, trained: Trained) -> Mapping[str, Bundle]:
    inside, weight = people.inside, people.design.analysis_weight[people.inside]
    chosen, models = workspace.model_features, workspace.models
    analysed = people.frame.iloc[inside]
    background = trained.encoder.matrix(analysed)
    data_digest = hashlib.sha256(workspace.run.path(names.TABLES).read_bytes()).hexdigest()
    about: dict[str, Any] = {
        "name": workspace.pipeline.tracking.register_as,
        "title": workspace.pipeline.title,
        "synthetic": workspace.synthetic,
        "data": workspace.data_label,
        "mgrisk": __version__,
        "outcome": workspace.outcome.model_dump(mode="json", exclude={"leaks"}),
        "cycles": list(workspace.pipeline.cohort.development),
        "held_out": list(workspace.pipeline.cohort.held_out),
        "minimum_age": workspace.pipeline.cohort.minimum_age,
        "holds_for": f"{workspace.data_label} {', '.join(workspace.pipeline.cohort.development)}",
        "weight_level": str(people.design.level),
        "people": len(inside),
        "cases": int(people.y[inside].sum()),
        "prevalence": float(np.average(people.y[inside], weights=weight)),
        "in_domain": "every number, and its difference from the value predicted by its most correlated number, within "
        "the weighted 0.05-99.95 % range of the development people; every category seen in them",
        "explanation": "interventional Shapley values of the calibrated log-odds; background: all development people, "
        "survey-weighted",
        "configuration_sha256": workspace.pipeline.digest(*workspace.pipeline.decisive),
        "data_sha256": data_digest,
    }
    spread_of_features = reference.describe(analysed, chosen, weight)
    return {
        name: Bundle(
            about={
                **about,
                "interval": _meaning(model),
                "learner": name,
                "parts": model.to_dict()["parts"],
            },
            features=chosen,
            fitted=model.fitted,
            calibrator=model.calibrator,
            reference=spread_of_features | {reference.RISK: reference.describe_numbers(model.oof_risk[inside], weight)},
            parts=attributions.build(model.fitted, trained.encoder, background, weight),
            models=models,
            uncertainty=model.uncertainty,
        )
        for name, model in trained.models.items()
    }


def _meaning(model: TrainedModel) -> str:
    if not model.refitted:
        return calibration.MEANING
    return uncertainty.MEANING + (uncertainty.WIDENED if model.widening else "")


STEP = Step(
    "train",
    "tune, calibrate and refit the candidate models",
    inputs=(*names.PEOPLE, names.TARGETS, names.FOLDS, names.TABLES, names.KNOWN_ANSWERS),
    outputs=(names.TRAINED, names.OUT_OF_FOLD, names.TUNING),
    logged=(names.TUNING,),
    settings=DESCRIBED,
    action=make_model,
)
