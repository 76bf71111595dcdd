"""What people run beside the server: for development, configurations of web servers, a doctor, importers, a client."""
