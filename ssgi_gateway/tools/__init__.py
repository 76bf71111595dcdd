"""What people run beside the server: configurations of web servers, a doctor, importers, a client for the shell."""
