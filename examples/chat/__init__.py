"""A chat, to play with Swill."""
