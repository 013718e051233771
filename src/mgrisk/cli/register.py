"""`mgrisk register`: register a released or recalibrated bundle in an MLflow registry."""

from __future__ import annotations

import argparse

from mgrisk.errors import ExitStatus, usage
from mgrisk.models import STORE, bundle_folder, registry_uri

HELP = "register a released or recalibrated model in MLflow"
ABOUT = "Register a bundle at MLFLOW_TRACKING_URI, or in runs/mlflow.db. A run registers its own bundle."
EXAMPLES = (
    "mgrisk register undiagnosed",
    "mgrisk register clinic-bundle --as clinic --alias champion",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("model", metavar="NAME|DIR", help="released model (undiagnosed), or the folder of a bundle")
    parser.add_argument("--as", dest="name", default="", metavar="NAME", help="registered name (that of the bundle)")
    parser.add_argument("--alias", default="champion", metavar="ALIAS", help="the alias it gets if free (champion)")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from pydantic import ValidationError

    from mgrisk.config.pipeline_file import Tracking
    from mgrisk.track import register_bundle

    try:
        tracking = Tracking(register_as=options.name, alias=options.alias)
    except ValidationError as problem:
        said = problem.errors()[0]["msg"].removeprefix("Value error, ")
        raise usage("registry.bad_name", said, where="mgrisk register", hint="give another name") from None
    uri = registry_uri()
    if uri is None:
        STORE.parent.mkdir(exist_ok=True)
        uri = f"sqlite:///{STORE.resolve()}"
    made = register_bundle(bundle_folder(options.model), tracking=tracking, uri=uri, beside=STORE)
    print(f"{made.model} version {made.version}, {' and '.join(made.aliases) or 'without an alias'}: {made.promotion}")
    return ExitStatus.DONE
