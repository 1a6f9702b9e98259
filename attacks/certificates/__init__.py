"""Robustness from below: proofs that no image within a radius is misclassified.

Importing this package registers every certificate.
"""

import sys

from attacks.certificates.contracts import (
    CERTIFICATES,
    Bounds,
    Certificate,
    CertificateFacts,
    Reach,
    Reached,
)
from bench.core.registry import import_all

import_all(sys.modules[__name__])

__all__ = ["CERTIFICATES", "Bounds", "Certificate", "CertificateFacts", "Reach", "Reached"]
