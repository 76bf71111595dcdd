"""Applications to look at and to run; nothing in the package imports them."""
