"""Topics: publishing to subscribers in this process, in the workers of one machine, or on many (Redis, NATS)."""
