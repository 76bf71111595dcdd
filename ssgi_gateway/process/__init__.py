"""Processes: the supervisor, the templates of generations, the workers. Knows nothing of requests."""
