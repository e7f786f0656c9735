"""A server on loopback for webhooks. It answers as the test wants and keeps the requests."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour = Callable[[socket.socket], None]
"""The reaction to a connection after its complete request."""

ENDLESS_S_MAX = 5
"""Endless answers stop after this time if the client does not close the connection."""


class Request:
    """A request as the server received it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.line, self.body = first, body
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.names = [line.partition(":")[0].lower() for line in lines]


class Receiver:
    """A server with one thread per connection.

    The first behaviours are for the first requests, and the last one is for all later requests.
    """

    def __init__(self, behaviours: list[Behaviour], context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._behaviours, self._context = behaviours, context
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def turn(self, *behaviours: Behaviour) -> None:
        """Forget all requests, and use these behaviours from now on."""
        self._behaviours = list(behaviours)
        self.requests.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(ENDLESS_S_MAX)
            if self._context is None:
                self._answer(connection)
            else:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self._answer(secured)

    def _answer(self, connection: socket.socket) -> None:
        head, body = b"", b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65_536)
        head, _, body = head.partition(b"\r\n\r\n")
        request = Request(head, body)
        while len(request.body) < int(request.headers.get("content-length", 0)):
            request.body += connection.recv(65_536)
        self.requests.append(request)
        self._behaviours[min(len(self.requests), len(self._behaviours)) - 1](connection)


def answer(status: int, body: bytes = b"", *headers: str) -> Behaviour:
    lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(body)}", *headers]
    return raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def raw(content: bytes) -> Behaviour:
    """Send these bytes and close the connection."""
    return lambda connection: connection.sendall(content)


def endless(start: bytes, again: bytes, pause_s: float = 0) -> Behaviour:
    """Send `start`, and then `again` repeatedly."""

    def go_on(connection: socket.socket) -> None:
        connection.sendall(start)
        end_s = time.monotonic() + ENDLESS_S_MAX
        while time.monotonic() < end_s:
            connection.sendall(again)
            time.sleep(pause_s)

    return go_on


def silent(connection: socket.socket) -> None:
    """Wait until the client closes the connection."""
    connection.recv(1)


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test")])
        self._certificate = self._sign(self._name, self._key.public_key(), x509.BasicConstraints(True, None))

    def trusting(self) -> ssl.SSLContext:
        """Return a context that trusts only this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self._certificate.public_bytes(serialization.Encoding.PEM).decode())
        return context

    def serving(self, host: x509.GeneralName, asked: list[str | None]) -> ssl.SSLContext:
        """Return a context with a certificate for this host. It records the requested server names."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Receiver")])
        certificate = self._sign(name, key.public_key(), x509.SubjectAlternativeName([host]))
        path = self._folder / "receiver.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.sni_callback = lambda _, host, __: asked.append(host)
        return context

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256())


@contextlib.contextmanager
def receiving(*behaviours: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(list(behaviours) or [answer(200)], context)
    try:
        yield receiver
    finally:
        receiver.close()
