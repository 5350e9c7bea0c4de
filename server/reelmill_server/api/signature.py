"""Signed requests of the vendor's SDKs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Signed:
    """The signature of a request, not yet verified."""

    key_id: str
