"""Encrypted connections and API keys, against a small gRPC server with certificates made on the fly."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
import trustme
from tritone_client import Client, ConnectionFailed, InvalidOption, Tls
from tritone_client._errors import ProtocolError
from tritone_client.cli.main import main

pytestmark = pytest.mark.unit


class Site:
    """An authority, a server's certificate and two clients' certificates, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.client_authority, stranger = trustme.CA(), trustme.CA(), trustme.CA()
        self.server = self.authority.issue_cert("localhost")
        self.ca = self.write("ca.pem", self.authority.cert_pem)
        self.cert, self.key = self.pair("client", self.client_authority)
        self.other_cert, self.other_key = self.pair("stranger", stranger)

    def write(self, name: str, *blobs: trustme.Blob) -> Path:
        path = self.folder / name
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return path

    def pair(self, name: str, authority: trustme.CA) -> tuple[Path, Path]:
        issued = authority.issue_cert(f"{name}.example.com")
        return self.write(f"{name}.pem", *issued.cert_chain_pems), self.write(f"{name}.key", issued.private_key_pem)

    def credentials(self, *, mutual: bool) -> grpc.ServerCredentials:
        chain = b"".join(blob.bytes() for blob in self.server.cert_chain_pems)
        ca = self.client_authority.cert_pem.bytes() if mutual else None
        return grpc.ssl_server_credentials([(self.server.private_key_pem.bytes(), chain)], ca, mutual)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("certificates"))


class Listener(grpc.GenericRpcHandler):
    """Knows no method, which is answer enough, and keeps the metadata it was sent."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> None:
        self.seen.append(dict(handler_call_details.invocation_metadata))


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture(params=["plain", "tls", "mutual"])
def service(request: pytest.FixtureRequest, site: Site, listener: Listener) -> Iterator[tuple[str, str]]:
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[listener])
    if request.param == "plain":
        port = server.add_insecure_port("localhost:0")
    else:
        port = server.add_secure_port("localhost:0", site.credentials(mutual=request.param == "mutual"))
    server.start()
    yield request.param, f"localhost:{port}"
    server.stop(0)


async def attempt(address: str, tls: Tls | None, key: str | None = None) -> str:
    """What becomes of opening a stream; `reached` means that the handler was asked."""
    async with Client(address, tls=tls, api_key=key) as client:
        try:
            async with client.stream():
                return "open"
        except ProtocolError:
            return "reached"
        except ConnectionFailed as error:
            assert "\n" not in error.user_message
            return error.user_message


async def test_each_kind_of_client_with_each_kind_of_service(site: Site, service: tuple[str, str]) -> None:
    kind, address = service
    trusting = Tls(ca=site.ca)
    complete = Tls(ca=site.ca, cert=site.cert, key=site.key)
    expected = {
        "plain": ("reached", "does not speak TLS", "does not speak TLS"),
        "tls": ("want TLS", "reached", "reached"),
        "mutual": ("want TLS", "client certificate", "reached"),
    }[kind]
    for tls, wanted in zip((None, trusting, complete), expected, strict=True):
        assert wanted in await attempt(address, tls)


async def test_a_client_trusts_only_whom_it_was_told_to(site: Site, service: tuple[str, str]) -> None:
    kind, address = service
    if kind == "plain":
        pytest.skip("nothing to trust")
    own = {"cert": site.cert, "key": site.key}
    assert "not signed by an authority" in await attempt(address, Tls(ca=site.cert, **own))
    assert "for another name" in await attempt(address, Tls(ca=site.ca, server_name="elsewhere.example.com", **own))
    stranger = await attempt(address, Tls(ca=site.ca, cert=site.other_cert, key=site.other_key))
    assert stranger == "reached" if kind == "tls" else "client certificate" in stranger


async def test_the_key_travels_as_metadata_and_only_where_nobody_listens(
    service: tuple[str, str], site: Site, listener: Listener
) -> None:
    kind, address = service
    tls = None if kind == "plain" else Tls(ca=site.ca, cert=site.cert, key=site.key)
    assert await attempt(address, tls, "trt_a_1") == "reached"
    assert listener.seen[-1]["authorization"] == "Bearer trt_a_1"
    assert await attempt(address, tls) == "reached"
    assert "authorization" not in listener.seen[-1]


@pytest.mark.parametrize("address", ["asr.example.com:8001", "10.0.0.5", "localhost.example.com"])
def test_a_key_is_not_sent_unencrypted_to_another_machine(address: str) -> None:
    with pytest.raises(InvalidOption, match="would travel unencrypted") as caught:
        Client(["localhost", address], api_key="trt_secret_1")
    assert "secret" not in caught.value.user_message
    Client(address, api_key="trt_secret_1", tls=Tls())


@pytest.mark.parametrize("key", ["", "a\nb", "ключ"])
def test_what_cannot_be_a_key_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(InvalidOption, match="looks like") as caught:
        Client(api_key=key)
    assert not key or key not in caught.value.user_message


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"ca": "missing.pem"}, "no such file"),
        ({"ca": "text.pem"}, "cannot be used"),
        ({"cert": "client.pem"}, "belong together"),
        ({"cert": "client.pem", "key": "stranger.key"}, "key values mismatch"),
        ({"cert": "client.pem", "key": "text.pem"}, "cannot be used"),
        ({"cert": "client.pem", "key": "."}, "cannot be"),
    ],
)
def test_files_that_are_wrong_are_told_in_one_line(site: Site, files: dict[str, str], match: str) -> None:
    (site.folder / "text.pem").write_text("no certificate")
    with pytest.raises(InvalidOption, match=match) as caught:
        Tls(**{name: site.folder / file for name, file in files.items()})
    assert "\n" not in caught.value.user_message


@pytest.mark.parametrize("value", ["ca=", "yes", "ca=a.pem,ca=b.pem", "password=x", ","])
def test_the_command_line_refuses_a_tls_option_it_does_not_know(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", "x.wav", "--tls", value]) == 2
    assert "--tls takes 'on'" in capsys.readouterr().err


def test_the_command_line_reads_the_key_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["transcribe", "x.wav", "--server", "asr.example.com", "--api-key-file"]
    assert main([*options, str(tmp_path / "none")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    (tmp_path / "key").write_text("trt_secret_1\n")
    assert main([*options, str(tmp_path / "key")]) == 2
    shown = capsys.readouterr().err
    assert "would travel unencrypted" in shown
    assert "secret" not in shown
