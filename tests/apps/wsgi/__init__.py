"""WSGI applications for the tests: the same resources in each framework, so that one suite asks all of them."""
