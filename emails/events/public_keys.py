"""Checking signatures made with RSA and with ECDSA on P-256, as SNS and SendGrid make them.

`cryptography` does the work; it is imported when the first such report arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MIN_RSA_BITS = 2048


class BadKey(ValueError):
    """This is no public key or certificate that can be read."""


@dataclass(frozen=True, slots=True)
class RsaKey:
    key: Any
    """`cryptography`'s RSAPublicKey."""

    def signed(self, message: bytes, signature: bytes, digest: str) -> bool:
        """Is `signature` the RSASSA-PKCS1-v1_5 of `message` (RFC 8017 8.2.2)? `digest`: sha256 or sha1."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA1, SHA256

        # Amazon still signs with SHA-1 where a topic asks for signature version 1.
        hashed = {"sha1": SHA1, "sha256": SHA256}[digest]()
        try:
            self.key.verify(signature, message, PKCS1v15(), hashed)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class EcKey:
    key: Any
    """`cryptography`'s EllipticCurvePublicKey."""

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Is `signature` (DER, two numbers) the ECDSA with SHA-256 of `message` (FIPS 186-5 6.4.2)?"""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            self.key.verify(signature, message, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def rsa_key_of(certificate: bytes) -> RsaKey:
    """The public key of an X.509 certificate in DER (RFC 5280 4.1). Raises `BadKey`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_der_x509_certificate

    try:
        key = load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey("this is no certificate that can be read") from error
    if not isinstance(key, RSAPublicKey):
        raise BadKey("the certificate has no RSA key")
    if key.key_size < MIN_RSA_BITS:
        raise BadKey("the RSA key is too weak")
    return RsaKey(key)


def ec_key_of(info: bytes) -> EcKey:
    """The key in a SubjectPublicKeyInfo in DER (RFC 5480 2). Raises `BadKey`, also for a point that is not on
    the curve."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(info)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey("this is no key that can be read") from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise BadKey("this is no key on P-256")
    return EcKey(key)
