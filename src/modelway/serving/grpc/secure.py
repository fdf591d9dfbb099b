"""TLS for gRPC, with the certificate and the key of HTTP."""

from pathlib import Path

import grpc


def credentials_of(certificate: Path, key: Path, password: str = "") -> grpc.ServerCredentials:
    """Of two files that `serving.tls.speaking` has found to be good. TLS 1.2 or newer, as gRPC has it."""
    pem = key.read_bytes()
    if b"ENCRYPTED" in pem:
        pem = _opened(pem, password)
    return grpc.ssl_server_credentials([(pem, certificate.read_bytes())])


def _opened(pem: bytes, password: str) -> bytes:
    """gRPC takes no password."""
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(pem, password.encode())
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
