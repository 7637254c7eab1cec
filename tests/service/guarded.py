"""A server with mutual TLS and keys, and those who call it: for the tests of who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tritone_backend.access.keyfile import edit_keys
from tritone_backend.access.keys import Key, digest, new_token
from tritone_backend.serve import ServerProcess, running_server
from tritone_backend.serve.tls import TlsFiles
from tritone_client import Client, Final, Timeouts, Tls

from tests.serve.certificates import Authority
from tests.service.raw import Raw

LIMIT = 3
ONCE = Timeouts(admission=0)


@dataclass
class Site:
    """A locked-down server, and what its callers have."""

    server: ServerProcess
    state: Path
    keys_file: Path
    tls: Tls
    stranger: Tls
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, key: str | None = "plain", tls: Tls | None = None) -> Client:
        return Client(self.server.address, tls=tls or self.tls, api_key=self.tokens.get(key or ""), timeout=ONCE)

    def raw(self, key: str | None = None) -> Raw:
        headers = {"authorization": f"Bearer {self.tokens[key]}"} if key else None
        return Raw(self.server.address, headers, creds=self.tls.channel_credentials())


@contextmanager
def site_in(folder: Path) -> Iterator[Site]:
    """A site whose files are in a folder."""
    inside, clients, others = (Authority(folder, name) for name in ("server", "clients", "others"))
    cert, key = inside.issue("asr", "asr.example.com", "127.0.0.1")
    keys_file = folder / "keys.toml"
    tokens = {name: new_token(name) for name in ("plain", "few", "second", "acoustic", "revoked", "unlisted")}
    with edit_keys(keys_file) as keys:
        for name, limit, model in (
            ("plain", 20, "streaming_asr"),
            ("few", LIMIT, "streaming_asr"),
            ("second", 20, "streaming_asr"),
            ("acoustic", 20, "streaming_acoustic"),
            ("revoked", 20, "streaming_asr"),
        ):
            keys[name] = Key(name, digest(tokens[name]), limit, (model,))
    shown, hidden = clients.issue("caller", "caller.example.com")
    wrong, wrong_key = others.issue("stranger", "stranger.example.com")
    state = folder / "state"
    with running_server(
        max_streams=30,
        idle_timeout_s=20.0,
        tls=TlsFiles(cert, key, clients.path),
        keys_file=keys_file,
        runtime_dir=state / "tritone",
    ) as server:
        yield Site(
            server,
            state,
            keys_file,
            Tls(ca=inside.path, cert=shown, key=hidden),
            Tls(ca=inside.path, cert=wrong, key=wrong_key),
            tokens,
        )


async def words(client: Client, audio: bytes) -> list[str]:
    pieces = (audio[begin : begin + 4800] for begin in range(0, len(audio), 4800))
    return [event.text async for event in client.transcribe(pieces) if isinstance(event, Final)]
