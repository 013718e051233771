"""Kill a command at random moments until it has been killed a given number of times.

    python kill_loop.py KILLS LONGEST_SECONDS SEED SEPARATOR FIRST... SEPARATOR AGAIN... SEPARATOR RESET...

A process that has imported everything forks; the child runs `mgrisk FIRST...`, and the parent kills it after a random
time of at most so many seconds. A killed command is continued by `mgrisk AGAIN...`. Where the child ends before its
time, the paths of RESET are put aside under its number for the test to compare, and the next one begins from nothing.
Prints {"kills", "ends", "statuses"} as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    import mlflow  # noqa: F401
    import xgboost  # noqa: F401

    import mgrisk.pipeline.run
    import mgrisk.track.run  # noqa: F401
    from mgrisk.cli.main import main as command

    kills, longest, seed, mark, *rest = sys.argv[1:]
    text = "\0".join(rest)
    first, again, reset = ([word for word in part.split("\0") if word] for part in text.split(mark))
    moment = random.Random(int(seed))
    killed, statuses, fresh = 0, [], True
    while killed < int(kills):
        child = os.fork()
        if child == 0:
            out = os.open(os.devnull, os.O_WRONLY)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os._exit(command(first if fresh else again))
        deadline = time.monotonic() + moment.uniform(0, float(longest))
        status = None
        while time.monotonic() < deadline:
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                break
            time.sleep(0.002)
            status = None
        if status is None:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
            fresh = False
            continue
        statuses.append(os.waitstatus_to_exitcode(status))
        for path in map(Path, reset):
            kept = path.with_name(f"{path.name}.end-{len(statuses)}")
            if path.exists():
                path.rename(kept)
        fresh = True
    print(json.dumps({"kills": killed, "ends": len(statuses), "statuses": statuses}))


if __name__ == "__main__":
    main()
