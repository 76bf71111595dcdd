"""How the probe knows the doctor: by a secret in its environment, and in a header field of each of his requests."""

from __future__ import annotations

from typing import Final

__all__ = ["HEADER", "SECRET"]

SECRET: Final = "SSGI_GATEWAY_DOCTOR"
"""The variable of the environment that holds the secret."""

HEADER: Final = "X-Ssgi-Gateway-Doctor"
