"""Manage registered versions and their aliases, with the reason of each promotion or refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mgrisk.errors import bad_bundle, usage
from mgrisk.track.store import opened, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHALLENGER: Final = "challenger"
"""Alias of the last version that failed the checks."""
PROMOTION: Final = "mgrisk.promotion"
"""Tag of a version: promoted or refused, with the reason."""
BUNDLE: Final = "mgrisk.bundle"
"""Tag of a version: sha256 of the files of its bundle."""
BY_HAND: Final = "promoted by hand to"


@dataclass(frozen=True)
class Standing:
    """Result of the checks of a new version.

    Attributes
    ----------
    refusals
        Reasons why it does not get the alias; empty if it does.
    champion
        Version that it was compared with; None if there was none.
    compared
        Records of paired differences from the champion.
    """

    refusals: tuple[str, ...] = ()
    champion: int | None = None
    compared: tuple[Mapping[str, Any], ...] = ()

    @property
    def promoted(self) -> bool:
        """Whether the version gets the alias."""
        return not self.refusals

    @property
    def reason(self) -> str:
        """The text of the version's tag."""
        if self.refusals:
            return "refused: " + "; ".join(self.refusals)
        return f"promoted: passed the gate after version {self.champion}" if self.champion else "promoted: the first"


@dataclass(frozen=True)
class Registered:
    """A version of a registered model.

    Attributes
    ----------
    model, version, aliases
        Name, version and aliases, as in `--model NAME@ALIAS`.
    data
        NHANES, or SYNTHETIC.
    learner
        The chosen model of its run.
    auroc
        AUROC in held-out people; None if the run was not evaluated.
    promotion
        Why it was promoted or refused; empty for versions registered without checks.
    """

    model: str
    version: int
    aliases: tuple[str, ...]
    data: str
    learner: str
    auroc: float | None
    promotion: str = field(default="")

    def to_dict(self) -> dict[str, Any]:
        """Return a row for `mgrisk models`."""
        names = [f"{self.model}@{alias}" for alias in self.aliases] or [f"{self.model}@{self.version}"]
        return {**asdict(self), "aliases": list(self.aliases), "name": ", ".join(names), "kind": "registry"}


def find_bundle(name: str, *, uri: str) -> Path:
    """Return the folder of a registered bundle.

    Parameters
    ----------
    name
        ``NAME@ALIAS`` or ``NAME@VERSION``.
    uri
        Tracking URI.

    Raises
    ------
    MgRiskError
        `registry.not_found`; exit status 5.
    """
    with opened(uri):
        import mlflow

        model, _, which = name.partition("@")
        address = f"{model}/{which}" if which.isdecimal() else name
        try:
            local = mlflow.artifacts.download_artifacts(f"models:/{address}")
        except (mlflow.MlflowException, OSError) as problem:
            raise _not_found(name, uri, problem) from None
    return Path(local) / "data" / "bundle"


def find_version(model: str, alias: str, *, uri: str) -> int | None:
    """Return the version that has an alias now; None if there is none."""
    with opened(uri) as client:
        return holder_of(client, model, alias)


def holder_of(client: MlflowClient, model: str, alias: str) -> int | None:
    """Return the version that has an alias now; None if there is none."""
    return _aliases(client, model).get(alias)


def version_of(client: MlflowClient, model: str, bundle: str) -> int | None:
    """Return the latest version of a bundle with this sha256; None if it is not registered."""
    found = client.search_model_versions(f"name = '{model}'")
    return max((int(each.version) for each in found if each.tags.get(BUNDLE) == bundle), default=None)


def promote(name: str, *, alias: str, because: str, uri: str) -> int:
    """Promote a version manually, overriding the checks; the reason is stored with the version.

    Parameters
    ----------
    name
        ``NAME@VERSION`` or ``NAME@ALIAS``.
    alias
        For example ``champion``.
    because
        The reason.
    uri
        Tracking URI.

    Returns
    -------
    int
        The version.

    Raises
    ------
    MgRiskError
        `registry.not_found`, `promote.no_reason`.
    """
    if not because.strip():
        raise usage("promote.no_reason", "a manual promotion needs a reason", where="--because", hint="give a reason")
    model, _, which = name.partition("@")
    with opened(uri) as client:
        import mlflow

        try:
            version = int(which) if which.isdecimal() else _aliases(client, model)[which]
            client.get_model_version(model, str(version))
        except (KeyError, mlflow.MlflowException) as problem:
            raise _not_found(name, uri, problem) from None
        give_alias(client, model, version, alias=alias, reason=f"{BY_HAND} {alias}: {because.strip()}")
    return version


def give_alias(client: MlflowClient, model: str, version: int, *, alias: str, reason: str) -> None:
    """Give a version an alias and record the reason; a challenger that gets another alias loses `challenger`."""
    client.set_model_version_tag(model, str(version), PROMOTION, reason)
    if alias != CHALLENGER and _aliases(client, model).get(CHALLENGER) == version:
        client.delete_registered_model_alias(model, CHALLENGER)
    client.set_registered_model_alias(model, alias, str(version))


def settle(client: MlflowClient, model: str, version: int, *, alias: str, standing: Standing) -> tuple[str, Standing]:
    """Give a version its alias, unless an earlier run of the same bundle has already settled it.

    A registered bundle keeps its alias, and takes none from a version that followed it or was promoted manually.

    Parameters
    ----------
    client
        Client of the store.
    model, version
        The version of this run's bundle.
    alias
        The alias for which the run registers its bundle.
    standing
        Result of the checks.

    Returns
    -------
    tuple
        The alias that the version has now, or an empty text; and `standing` with further reasons against the alias.
    """
    aliases, before = _aliases(client, model), _promotion(client, model, version)
    holder = aliases.get(alias)
    if holder == version:
        return alias, standing
    had_it = before.startswith(("promoted:", f"{BY_HAND} {alias}:"))
    if before and holder is not None:
        by_hand = _promotion(client, model, holder).startswith(BY_HAND)
        if had_it or by_hand:
            how = "was promoted by hand" if by_hand else "followed this unchanged bundle"
            standing = replace(standing, refusals=(*standing.refusals, f"version {holder}, which has the alias, {how}"))
    if not standing.promoted and before:
        return (CHALLENGER if aliases.get(CHALLENGER) == version else ""), standing
    given = alias if standing.promoted else CHALLENGER
    give_alias(client, model, version, alias=given, reason=standing.reason)
    return given, standing


def registered(*, uri: str) -> list[Registered]:
    """Return every version of every model that mgrisk registered, by name, the latest version first.

    Parameters
    ----------
    uri
        Tracking URI.
    """
    with opened(uri) as client:
        found = []
        for model in client.search_registered_models(order_by=["name ASC"]):
            aliases: dict[int, list[str]] = {}
            for alias, number in _aliases(client, model.name).items():
                aliases.setdefault(number, []).append(alias)
            versions = client.search_model_versions(f"name = '{model.name}'")
            for version in sorted(versions, key=lambda each: -int(each.version)):
                run = client.get_run(version.run_id) if version.run_id else None
                if run is None or "mgrisk" not in run.data.tags:
                    continue
                found.append(
                    Registered(
                        model=model.name,
                        version=int(version.version),
                        aliases=tuple(sorted(aliases.get(int(version.version), []))),
                        data=run.data.tags.get("data", ""),
                        learner=run.data.tags.get("winner", ""),
                        auroc=run.data.metrics.get("test_auroc"),
                        promotion=version.tags.get(PROMOTION, ""),
                    )
                )
    return found


def _aliases(client: MlflowClient, model: str) -> dict[str, int]:
    """Return the version of each alias, which a search of versions does not return."""
    if not client.search_registered_models(f"name = '{model}'"):
        return {}
    return {alias: int(version) for alias, version in client.get_registered_model(model).aliases.items()}


def _promotion(client: MlflowClient, model: str, version: int) -> str:
    return str(client.get_model_version(model, str(version)).tags.get(PROMOTION, ""))


def _not_found(name: str, uri: str, problem: Exception) -> Exception:
    return bad_bundle(
        "registry.not_found",
        f"there is no registered model {name}",
        where=without_password(uri),
        got=(str(problem).splitlines() or [""])[0][:200],
        hint="give --model FOLDER, or run a pipeline that registers it; `mgrisk models` lists models",
    )
