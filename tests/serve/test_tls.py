"""Certificates that are wrong are told in one line before a server starts; what faces outwards is said."""

from __future__ import annotations

import argparse
import stat
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tritone_backend.access.keyfile import edit_keys
from tritone_backend.serve import ServeError, ServerProcess, ServeSettings, cli
from tritone_backend.serve.command import ServerPaths, client_authorities, model_environment, server_command
from tritone_backend.serve.credentials import Credentials
from tritone_backend.serve.tls import TlsFiles, probe_identity

from tests.serve.certificates import Authority

pytestmark = pytest.mark.unit
MODEL = Path("/models/default")
PATHS = ServerPaths(Path("/t/bin/tritonserver"), Path("/t/backends"), Path("/run/repository"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def files(folder) -> dict[str, Path]:
    """Good and bad files by name."""
    authority, clients = Authority(folder, "server"), Authority(folder, "clients")
    found = {"client_ca": clients.path}
    found["cert"], found["key"] = authority.issue("asr", "asr.example.com", "127.0.0.1")
    found["wild"], found["wild_key"] = authority.issue("wild", "*.example.com")
    found["other_cert"], found["other_key"] = authority.issue("other", "other.example.com")
    found["expired"], found["expired_key"] = authority.issue_expired("expired", "asr.example.com")
    found["text"] = folder / "text.pem"
    found["text"].write_text("hello")
    found["missing"] = folder / "missing.pem"
    key = serialization.load_pem_private_key(found["key"].read_bytes(), None)
    found["locked"] = folder / "locked.key"
    found["locked"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return found


def test_good_files_pass_and_name_the_server(files):
    assert TlsFiles(files["cert"], files["key"], files["client_ca"]).check() in ("asr.example.com", "127.0.0.1")
    assert TlsFiles(files["wild"], files["wild_key"]).check() == "any.example.com"


@pytest.mark.parametrize(
    ("cert", "key", "client_ca", "match"),
    [
        ("missing", "key", None, "--tls-cert .*no such file"),
        ("text", "key", None, "--tls-cert .*no certificate in PEM"),
        ("key", "key", None, "--tls-cert .*no certificate in PEM"),
        ("expired", "expired_key", None, "--tls-cert .*expired on 2020-01-02"),
        ("cert", "missing", None, "--tls-key .*no such file"),
        ("cert", "text", None, "--tls-key .*no private key in PEM"),
        ("cert", "cert", None, "--tls-key .*no private key in PEM"),
        ("cert", "locked", None, "--tls-key .*passphrase"),
        ("cert", "other_key", None, "--tls-key .*does not belong to the certificate"),
        ("cert", "key", "missing", "--tls-client-ca .*no such file"),
        ("cert", "key", "text", "--tls-client-ca .*no certificate in PEM"),
        ("cert", "key", "expired", "--tls-client-ca .*expired"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_before_the_server_starts(tmp_path, files, cert, key, client_ca, match):
    tls = TlsFiles(files[cert], files[key], files[client_ca] if client_ca else None)
    with pytest.raises(ServeError, match=match) as caught:
        ServerProcess(ServeSettings(model_dir=MODEL, tls=tls, runtime_dir=tmp_path), keep_log=False).start()
    assert "\n" not in caught.value.user_message
    assert not list(tmp_path.glob("health-*"))


def test_a_certificate_of_tomorrow_is_not_valid_today(files):
    with pytest.raises(ServeError, match="not valid before"):
        TlsFiles(files["cert"], files["key"]).check(datetime(1990, 1, 1, tzinfo=timezone.utc))


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--tls-cert", "a"], "belong together"),
        (["--tls-key", "a"], "belong together"),
        (["--tls-client-ca", "a"], "needs --tls-cert"),
    ],
)
def test_half_a_configuration_is_refused(words, match):
    parser = argparse.ArgumentParser()
    cli.configure(parser)
    with pytest.raises(ServeError, match=match):
        cli.run(parser.parse_args(words))


def test_triton_is_told_to_encrypt_and_whom_to_let_in(tmp_path, files):
    plain = server_command(ServeSettings(model_dir=MODEL), PATHS, "p", "k")
    assert not [flag for flag in plain if "ssl" in flag or "cert" in flag or "forward" in flag]
    one_way = ServeSettings(model_dir=MODEL, tls=TlsFiles(files["cert"], files["key"]))
    assert "--grpc-use-ssl=true" in server_command(one_way, PATHS, "p", "k")
    assert client_authorities(one_way, Credentials(), tmp_path) == []
    mutual = ServeSettings(model_dir=MODEL, tls=TlsFiles(files["cert"], files["key"], files["client_ca"]))
    assert "--grpc-use-ssl-mutual=true" in server_command(mutual, PATHS, "p", "k")
    made = Credentials.make(mutual.tls, keys=False)
    assert client_authorities(mutual, made, tmp_path) == [f"--grpc-root-cert={tmp_path / 'client-ca.pem'}"]
    trusted = x509.load_pem_x509_certificates((tmp_path / "client-ca.pem").read_bytes())
    assert len(trusted) == 2
    assert trusted[1] == x509.load_pem_x509_certificate(made.cert.encode())


def test_secrets_are_neither_on_the_command_line_nor_in_the_models_configuration(tmp_path):
    settings = ServeSettings(model_dir=MODEL, keys_file=tmp_path / "keys.toml")
    made = Credentials.make(None, keys=True)
    command = " ".join(server_command(settings, PATHS, "p", "k"))
    environment = model_environment(settings, made, tmp_path, 0, tmp_path / "board")
    assert len(made.token) == 64
    assert made.token not in command
    assert made.token not in "".join(environment.values())
    assert "--grpc-header-forward-pattern=^authorization$" in command
    assert ",model-config,statistics:" in command
    assert environment["TRITONE_KEYS"] == str(settings.keys_file)


def test_the_health_checks_certificate_can_sign_no_other():
    cert, _ = probe_identity()
    parsed = x509.load_pem_x509_certificate(cert)
    assert parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert probe_identity()[0] != cert


def test_credentials_are_for_their_owner_alone(tmp_path):
    path = tmp_path / "health-1.json"
    made = Credentials("r", "n", "c", "k", "t")
    path.write_text("old")
    path.chmod(0o644)
    made.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Credentials.load(path) == made
    path.write_text('{"root": 1, "other": 2}')
    assert Credentials.load(path) == Credentials()
    assert Credentials.load(tmp_path / "none") == Credentials()


def test_a_broken_keys_file_keeps_the_server_from_starting(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text("[[key")
    path.chmod(0o600)
    settings = ServeSettings(model_dir=MODEL, keys_file=path, runtime_dir=tmp_path)
    with pytest.raises(ServeError, match=r"--keys: .*not valid TOML"):
        ServerProcess(settings, keep_log=False).start()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_is_open_to_other_machines_by_default(host):
    assert ServeSettings(model_dir=MODEL, host=host).exposure() == []
    command = server_command(ServeSettings(model_dir=MODEL), PATHS, "p", "k")
    assert "--metrics-address=127.0.0.1" in command
    assert "--allow-http=false" in command


def test_the_metrics_stay_at_home_when_the_service_does_not_and_can_be_off():
    command = server_command(ServeSettings(model_dir=MODEL, host="0.0.0.0"), PATHS, "p", "k")
    assert {"--grpc-address=0.0.0.0", "--metrics-address=127.0.0.1"} <= set(command)
    off = ServeSettings(model_dir=MODEL, metrics_port=0)
    assert "--allow-metrics=false" in server_command(off, PATHS, "p", "k")
    assert off.metrics_url == ""


def test_what_faces_outwards_is_said(tmp_path, files):
    tls, mutual = TlsFiles(files["cert"], files["key"]), TlsFiles(files["cert"], files["key"], files["client_ca"])

    def warnings(**settings):
        return " | ".join(ServeSettings(model_dir=MODEL, host="0.0.0.0", **settings).exposure())

    assert "unencrypted" in warnings()
    assert "may use it" in warnings()
    assert "may use it" in warnings(tls=tls)
    assert warnings(tls=mutual) == ""
    with edit_keys(tmp_path / "keys.toml"):
        pass
    assert warnings(tls=tls, keys_file=tmp_path / "keys.toml") == ""
    assert "unencrypted" in warnings(keys_file=tmp_path / "keys.toml")
