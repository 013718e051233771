"""MLflow: tracking a finished run, its place in the registry, the logged model's answers; no other package imports it.

What is logged is read from the run folder, so that a run without tracking is the same run. A model is logged by
`loader_module`, which keeps the bundle's own files and pickles nothing; MLflow looks for `_load_pyfunc` here.
"""

from mgrisk.track.bundle import register_bundle
from mgrisk.track.registry import Registered, Standing, find_bundle, find_version, promote, registered
from mgrisk.track.run import Tracked, log_run
from mgrisk.track.served import _load_pyfunc, example_people
from mgrisk.track.store import refuse_store, tracking_uri

__all__ = [
    "Registered",
    "Standing",
    "Tracked",
    "_load_pyfunc",
    "example_people",
    "find_bundle",
    "find_version",
    "log_run",
    "promote",
    "refuse_store",
    "register_bundle",
    "registered",
    "tracking_uri",
]
