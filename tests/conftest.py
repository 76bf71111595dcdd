"""What holds for all tests."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# Where the tests are started in the background, SIGINT is ignored, and so it would be in every process they start;
# some of those are interrupted to see how they end.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time, whatever the machine is doing: a test of many is no place for a discovery that cannot be
# repeated. With EQUIVALENCE above 1 (and in `make fuzz`) they are different ones in each run.
settings.register_profile(
    "the same each time",
    derandomize=float(os.environ.get("EQUIVALENCE", "1")) <= 1,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("the same each time")
