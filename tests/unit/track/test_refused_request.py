"""An error message is kept when MLflow wraps it, and has the status of an invalid request."""

from __future__ import annotations

import json

from mgrisk.errors import bad_input
from mgrisk.track.refused_request import RefusedRequest


def test_a_refusal_says_what_where_and_what_to_do_and_never_the_people() -> None:
    refused = RefusedRequest(bad_input("input.x", "a column is wrong", where="the columns", hint="rename it"))
    refused.message = f"Failed to predict data '50 male'. Error: {refused.message}"
    assert refused.message == "error: a column is wrong [input.x]; where: the columns; to do: rename it"
    assert refused.get_http_status_code() == 400
    assert json.loads(refused.serialize_as_json())["message"] == refused.message
