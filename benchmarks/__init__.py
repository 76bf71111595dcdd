"""Measures this project and its peers side by side; ``make bench`` runs it, ``README.md`` says how it is done.

``peers`` says who takes part, ``works`` what they do, ``rows`` what this project wants to reach; ``machine``, ``front``
and ``load`` deal with processes, nginx and the load; ``measure`` brings them together and yields samples; ``figures``,
``report`` and ``plots`` are pure and turn samples into pages. Nothing here is imported by the package itself, and only
the standard library is imported by this.
"""
