"""FastCGI."""
