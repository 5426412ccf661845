"""The way to HAProxy's runtime API: TLS, for whoever has the key pair of the environment's balancer.

HAProxy 2.6 has neither a password nor TLS for its runtime API. So the API listens on a socket file in the
container, and a proxy of the same HAProxy passes on whoever shows the certificate.

Source: HAProxy 2.6 Configuration Manual, 5.1 "crt", "ca-file", "verify".
"""

import socket
import ssl
import tempfile
from datetime import UTC, datetime, timedelta

NAME = "balancer"
DAYS = 3650
BEGIN = "-----BEGIN CERTIFICATE-----"


def make_key_pair() -> str:
    """Return a new private key and its self-signed certificate, as PEM.

    Both ends show this one certificate and trust no other: whoever may read the key of one may read both.
    """
    from cryptography import x509  # noqa: PLC0415 - only a creation needs it, and it takes a tenth of a second
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - as above

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # the engine's machine may have another clock
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, form, plain)
    return (pem + certificate.public_bytes(serialization.Encoding.PEM)).decode()


class Control:
    """Asks the runtime API of the balancer whose key pair it was given. Threads may share it."""

    def __init__(self, key_pair: str) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.load_verify_locations(cadata=key_pair[key_pair.index(BEGIN) :])
        # For this user alone; the library reads only files.
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(key_pair)
            file.flush()
            self._tls.load_cert_chain(file.name)

    def ask(self, host: str, port: int, command: bytes, timeout_s: float) -> bytes:
        """Send a command on a connection of its own and return the answer, b"" when there is none.

        :raises OSError: when nobody answers in time, or does not have the key pair.
        """
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            self._tls.wrap_socket(plain, server_hostname=NAME) as connection,
        ):
            connection.sendall(command)
            return b"".join(iter(lambda: connection.recv(65536), b""))
