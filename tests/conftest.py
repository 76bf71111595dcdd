"""What holds for all tests."""

from __future__ import annotations

import signal

# Where the tests are started in the background, SIGINT is ignored, and so it would be in every process they start;
# some of those are interrupted to see how they end.
signal.signal(signal.SIGINT, signal.default_int_handler)
