"""TLS as the server speaks it."""

import ssl
from pathlib import Path

from modelway.errors import ServerError


def context_of(certificate: Path, key: Path, password: str = "") -> ssl.SSLContext:
    """TLS 1.2 or newer, HTTP/1.1 alone; `certificate` is the server's own, behind it those that lead to who signed it, in PEM.

    Raises ServerError naming the file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for file in (certificate, key):
        try:
            file.open("rb").close()
        except OSError as error:
            raise ServerError(
                f"{file}: {error.strerror}", "mend serving.tls in stack.yaml, or the file's rights"
            ) from error
    try:
        context.load_cert_chain(certificate, key, password)
    except ssl.SSLError as error:
        raise ServerError(
            f"{certificate} and {key} are no certificate and its key: {error.reason or error}",
            "both in PEM; the password of an encrypted key stands in MODELWAY_SERVING_KEY_PASSWORD",
        ) from error
    return context
