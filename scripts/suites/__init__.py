"""Other projects' test suites, run over real servers: ``make test-suites``.

This package is loaded into the suites' own test runs, as plugins of pytest. It is not below ``tests``, because each of
the suites has a package of that name.
"""
