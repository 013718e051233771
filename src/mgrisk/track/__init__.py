"""Track finished runs in MLflow, register their models, and serve them; only this package imports MLflow.

Everything logged is read from the run folder, so that tracking does not change a run. A model is logged with
`loader_module`, which keeps the files of the bundle and pickles nothing; MLflow calls `_load_pyfunc` of this package.
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
