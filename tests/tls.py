"""STS over real TLS on loopback, with a certificate authority of its own, and a proxy that tunnels to it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from select import select
from socket import create_connection, socket
from threading import Barrier, Thread
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CALLER = (
    b"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/tls</Arn>"
    b"<UserId>AIDAEXAMPLE</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder; `bundle` is its own certificate."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        subject = _name(self.name)
        made = _begin(subject, subject, self.key).add_extension(x509.BasicConstraints(True, 0), critical=True)
        self.bundle.write_bytes(_pem(made.sign(self.key, hashes.SHA256())))

    @property
    def bundle(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(self, address: str = "127.0.0.1", name: str = "server") -> Path:
        """Return a file with a certificate for an address, and its key."""
        key, file = ec.generate_private_key(ec.SECP256R1()), self.folder / f"{self.name}-{name}.pem"
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        made = _begin(_name(name), _name(self.name), key).add_extension(names, critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(_pem(made.sign(self.key, hashes.SHA256())) + private)
        return file


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class _Sts(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: ClassVar["Served"]

    def setup(self) -> None:
        super().setup()
        self.served.connections.append(self.client_address)

    def do_POST(self) -> None:
        if self.served.together is not None:
            self.served.together.wait(timeout=30)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(self.served.answer)))
        self.end_headers()
        self.wfile.write(self.served.answer)

    def log_message(self, *_: object) -> None:
        pass


class _Tunnel(BaseHTTPRequestHandler):
    """A proxy that knows CONNECT alone."""

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        with create_connection((host, int(port))) as upstream:
            self.send_response(200)
            self.end_headers()
            pairs: dict[socket, socket] = {self.connection: upstream, upstream: self.connection}
            while True:
                for ready in select(list(pairs), [], [], 30)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    pairs[ready].sendall(data)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Served:
    """A server that runs: its URL, its connections so far, how many calls wait for one another, and what it answers."""

    url: str = ""
    connections: list[Any] = field(default_factory=list)
    together: Barrier | None = None
    answer: bytes = CALLER


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket, Any]:
        connection, address = super().get_request()
        if self.context is not None:  # the handshake comes with the first read, on the thread of the connection
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that refuse a certificate are what is tested."""


@contextmanager
def serve_sts(certificate: Path, client_bundle: Path | None = None) -> Iterator[Served]:
    """Serve STS with a certificate; with a client bundle it asks for the certificate of the client too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if client_bundle is not None:
        context.load_verify_locations(client_bundle)
        context.verify_mode = ssl.CERT_REQUIRED

    served = Served()
    with _serving(type("Sts", (_Sts,), {"served": served}), context) as port:
        served.url = f"https://127.0.0.1:{port}"
        yield served


@contextmanager
def serve_proxy() -> Iterator[str]:
    """Serve a proxy and give its URL."""
    with _serving(_Tunnel) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), handler)
    server.context = context
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
