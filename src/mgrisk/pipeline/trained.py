"""The trained models of a run: read back, and fitted again on its development people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.refit import Again, again
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.run_folder import names


def read_trained(workspace: Workspace, model: str) -> Bundle:
    """Return the bundle of one of the trained models."""
    return read_bundle(workspace.run.path(names.TRAINED) / model, threads=workspace.pipeline.threads)


def refitter(
    workspace: Workspace,
    bundle: Bundle,
    people: SetOfPeople,
    parts: Sequence[Mapping[str, Any]],
    *,
    seed: int | None = None,
) -> Again:
    """Return what fits a trained model again on other weights of the development people.

    Parameters
    ----------
    workspace
        A run whose models are trained.
    bundle
        The trained model.
    people
        Its development people.
    parts
        Its parts as in tuning.json.
    seed
        Of the fit; that of the pipeline file where it is left out.

    Returns
    -------
    Again
        As `model.refit.again` returns it.
    """
    settings = workspace.pipeline.model
    return again(
        workspace.training_data(people),
        fitted=bundle.fitted,
        features=bundle.features,
        settings=settings if seed is None else settings.model_copy(update={"seed": seed}),
        model=str(bundle.about["learner"]),
        parts=parts,
        threads=workspace.pipeline.threads,
    )
