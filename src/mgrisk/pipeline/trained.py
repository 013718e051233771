"""Read the trained models of a run, and refit them on its development people."""

from __future__ import annotations

from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.refit import Refitter, make_refitter, space_of
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.run_folder import names


def read_trained(workspace: Workspace, model: str) -> Bundle:
    """Return the bundle of one of the trained models."""
    return read_bundle(workspace.run.path(names.TRAINED) / model, threads=workspace.pipeline.threads)


def read_all_trained(workspace: Workspace) -> dict[str, Bundle]:
    """Return the bundles of all trained models, in the order of their names."""
    return {name: read_trained(workspace, name) for name in sorted(workspace.run.tuning.models)}


def refitter(
    workspace: Workspace,
    bundle: Bundle,
    people: SetOfPeople,
    *,
    seed: int | None = None,
) -> Refitter:
    """Return a function that refits the chosen model with other weights of the development people.

    Parameters
    ----------
    workspace
        A run whose models are trained.
    bundle
        The chosen model.
    people
        Its development people.
    seed
        Seed of the fit; by default that of the pipeline file.

    Returns
    -------
    Refitter
        As `model.refit.again` returns it.
    """
    settings = workspace.pipeline.model
    return make_refitter(
        workspace.training_data(people),
        chosen=workspace.run.tuning.chosen,
        space=space_of(bundle.fitted),
        features=bundle.features,
        settings=settings if seed is None else settings.model_copy(update={"seed": seed}),
        threads=workspace.pipeline.threads,
    )
