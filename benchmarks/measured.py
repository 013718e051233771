"""Measure seconds, processor time and peak memory of one call in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def report(call: Callable[[], object]) -> None:
    """Time a call in this process and print [seconds, seconds of processor time, MB]."""
    started, worked = time.perf_counter(), time.process_time()
    call()
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    # VmHWM, because after a fork the peak of getrusage is at least that of the parent.
    (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(json.dumps([seconds, worked, int(peak.split()[1]) / 1024]))


def run(program: str, *arguments: str, environment: Mapping[str, str] = os.environ) -> tuple[float, float, float]:
    """Start a program that ends with `report` and return what it printed."""
    command = [sys.executable, program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    seconds, worked, peak = json.loads(done.stdout.strip().splitlines()[-1])
    return seconds, worked, peak
