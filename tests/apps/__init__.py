"""Applications that the behaviour tests serve through real web servers."""
