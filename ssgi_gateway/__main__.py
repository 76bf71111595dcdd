"""``python -m ssgi_gateway``: the command ``ssgi-gateway``."""

from __future__ import annotations

import sys

from ssgi_gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
