"""Certificates that sign themselves."""

import subprocess
from pathlib import Path


def signed_by_itself(place: Path, name: str = "localhost", password: str = "") -> tuple[Path, Path]:
    """A certificate and its key, in PEM; with a password, the key is encrypted."""
    certificate, key = place / f"{name}.pem", place / f"{name}.key"
    secrecy = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    made = f"openssl req -x509 -newkey rsa:2048 -days 2 -subj /CN={name} -addext subjectAltName=DNS:{name}".split()
    subprocess.run([*made, *secrecy, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key
