"""``make service-test`` runs these, which take root, systemd and a minute; ``make test`` does not collect them."""

import os

collect_ignore_glob = [] if os.environ.get("SSGI_SERVICES") else ["test_*.py"]
