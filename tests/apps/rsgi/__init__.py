"""RSGI applications for the tests, and one that is of several interfaces."""
