"""TLS, on both sides: how the server speaks it, and how clients of the same workspace know that it is the server."""

import ssl
from pathlib import Path

from modelway.errors import ServerError

_PASSWORD = "MODELWAY_SERVING_KEY_PASSWORD"
_END = "-----END CERTIFICATE-----"


def speaking(certificate: Path, key: Path, password: str = "") -> ssl.SSLContext:
    """TLS 1.2 or newer, HTTP/1.1 alone. `certificate`: the server's own, behind it those that lead to who signed it, in PEM.

    Raises ServerError naming the file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _own(certificate)
    _read(key)
    try:
        context.load_cert_chain(certificate, key, password)  # without a password it would be asked of the terminal
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "reason", None) or str(error)
        raise ServerError(
            f"{certificate} and {key} are no certificate and its key ({why})",
            f"both in PEM, and of one another; the password of an encrypted key stands in {_PASSWORD}",
        ) from error
    return context


def knowing(certificate: Path) -> ssl.SSLContext:
    """Trusts the server that has this very certificate, whoever signed it and whatever name it bears, and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # it is asked at its address in this machine, and known by its key
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=_own(certificate))
    except ssl.SSLError as error:
        raise _no_certificate(certificate) from error
    return context


def _own(file: Path) -> str:
    """The first certificate in the file: trust in those behind it would be trust in all that they sign."""
    first, end, _ = _read(file).partition(_END)
    if not end:
        raise _no_certificate(file)
    return first + end


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="latin-1")
    except OSError as error:
        raise ServerError(
            f"{file}: {error.strerror}", "mend serving.tls in stack.yaml, or the file's rights"
        ) from error


def _no_certificate(file: Path) -> ServerError:
    return ServerError(f"{file} holds no certificate in PEM", "name another file in stack.yaml, serving: {tls: …}")
