"""``ssgi-gateway import``: the settings of another server as a settings file of this one.

Each option is taken, replaced by something else, or has no counterpart; the file lists which, and why. A module for
each kind of file, each with ``read(text) -> Imported``; what they share is ``rules``.
"""
