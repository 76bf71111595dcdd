"""Sessions: what belongs to a client beyond one connection, in memory or in Redis."""
