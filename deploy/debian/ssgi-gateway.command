#!/usr/bin/python3
"""The command, with Debian's Python and the modules that Debian's packages have."""

import sys

from ssgi_gateway.__main__ import main

sys.exit(main())
