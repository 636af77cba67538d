"""TLS goes to the address that was judged, and asks for the certificate of the name."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx2
import pytest
from aiohttp import web
from caravan_bus.outbound import Guard, httpx_transport
from caravan_bus.outbound.aiohttp_client import session
from caravan_bus.outbound.httpx_transport import GuardedTransport
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.outbound.servers import Names, serving

NAMES = {"good_example": [["127.0.0.1"]], "other_example": [["127.0.0.1"]]}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of good.example, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "good.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("good.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
async def port(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    async def hello(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=request.headers["Host"])

    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    monkeypatch.setattr(httpx_transport, "_tls", lambda: trusting)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    async with serving(hello, tls=context) as made:  # type: ignore[arg-type]
        yield made


async def test_httpx_asks_for_the_certificate_of_the_name(port: int) -> None:
    guard = Guard(["127.0.0.0/8"], Names(**NAMES))
    async with httpx2.AsyncClient(transport=GuardedTransport(guard, 1000), trust_env=False) as client:
        assert (await client.get(f"https://good.example:{port}/")).text == f"good.example:{port}"
        for host in ("other.example", "127.0.0.1"):
            with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"https://{host}:{port}/")


async def test_aiohttp_asks_for_the_certificate_of_the_name(port: int, certificate: tuple[Path, Path]) -> None:
    guard = Guard(["127.0.0.0/8"], Names(**NAMES))
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    async with session(guard, 5) as client:
        async with client.get(f"https://good.example:{port}/", ssl=trusting) as response:
            assert await response.text() == f"good.example:{port}"
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await client.get(f"https://other.example:{port}/", ssl=trusting)
