"""Configuration for web servers, as it is shipped: files that commands print and people copy. No code."""
