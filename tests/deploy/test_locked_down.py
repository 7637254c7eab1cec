"""The container's locks: as the deploy files say them, and as a real server feels them, in a mount namespace here."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import soundfile
import yaml
from tritone_backend.serve.ports import free_ports
from tritone_client import Client, Final

from tests.deploy.dockerfile import ROOT, stages

USER = 10001
NEW_ROOT = Path("/mnt")


@pytest.fixture(scope="module")
def compose() -> dict:
    (service,) = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"].values()
    return service


@pytest.fixture(scope="module")
def kubernetes() -> dict[str, dict]:
    manifests = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "tritone.yaml").read_text())
    return {manifest["kind"]: manifest["spec"] for manifest in manifests}


@pytest.mark.unit
def test_compose_locks_the_container(compose):
    assert compose["user"] == f"{USER}:{USER}"
    assert compose["read_only"] is True
    assert compose["cap_drop"] == ["ALL"]
    assert "cap_add" not in compose
    assert "privileged" not in compose
    assert compose["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in compose["ports"])
    assert all(volume.endswith(":ro") for volume in compose["volumes"])
    writable = {entry.partition(":")[0] for entry in compose["tmpfs"]}
    assert writable == {"/tmp", "/home/tritone"}
    assert compose["mem_limit"]
    assert compose["pids_limit"]


@pytest.mark.unit
def test_kubernetes_locks_the_pod(kubernetes):
    pod = kubernetes["Deployment"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == USER
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["secrets"]["readOnly"] is True
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts)
    assert kubernetes["Service"]["type"] == "ClusterIP"
    assert kubernetes["NetworkPolicy"]["egress"] == []


@pytest.mark.unit
def test_both_ask_for_keys_and_encrypt_with_flags_that_serve_knows(compose, kubernetes):
    (container,) = kubernetes["Deployment"]["template"]["spec"]["containers"]
    helped = subprocess.run([tritone(), "serve", "--help"], capture_output=True, text=True, check=True).stdout
    for command in (compose["command"], container["args"]):
        flags = {word.partition("=")[0] for word in command if word.startswith("--")}
        assert {"--keys", "--tls-cert", "--tls-key"} <= flags
        assert all(flag in helped for flag in flags)


@pytest.mark.unit
def test_the_images_own_user_is_the_one_that_the_deploy_files_name():
    for image in ("cpu", "gpu"):
        assert stages()[image].all("USER") == [str(USER)]


def tritone() -> str:
    return str(Path(sys.executable).parent / "tritone")


def hidden_ancestor(path: Path) -> Path | None:
    """The topmost folder on the way to a path that other users may not enter."""
    for folder in [*reversed(path.parents), path]:
        if not folder.stat().st_mode & 0o001:
            return folder
    return None


def sandbox(command: list[str]) -> list[str]:
    """The command with the container's locks: read-only root, memory for what is written, a user without any rights.

    All mounts are in a namespace of their own and end with it.
    """
    steps = [f"mount --bind / {NEW_ROOT}"]
    python = Path(sys.base_prefix).resolve()
    covered = hidden_ancestor(python)
    if covered is not None:  # other users may not enter it: show them the interpreter alone
        inside, outside = NEW_ROOT / python.relative_to("/"), NEW_ROOT / covered.relative_to("/")
        steps += [
            f"mount -t tmpfs -o mode=0755 none {outside}",
            f"mkdir -p {inside}",
            f"mount --bind {python} {inside}",
        ]
        steps += [f"mount -o remount,bind,ro {outside}", f"mount -o remount,bind,ro {inside}"]
    steps += [f"mount --rbind /dev {NEW_ROOT}/dev", f"mount --rbind /proc {NEW_ROOT}/proc"]
    for place, options in (("/tmp", "mode=1777"), ("/home", f"uid={USER},mode=0700"), ("/dev/shm", "mode=1777")):
        steps.append(f"mount -t tmpfs -o {options} none {NEW_ROOT}{place}")
        for needed in {ROOT, Path(sys.prefix)}:  # a checkout in /tmp or /home is covered now: show it again
            if needed.is_relative_to(place):
                shown = f"{NEW_ROOT}{needed}"
                steps += [f"mkdir -p {shown}", f"mount --bind {needed} {shown}", f"mount -o remount,bind,ro {shown}"]
    steps.append(f"mount -o remount,bind,ro {NEW_ROOT}")
    rights = f"--reuid={USER} --regid={USER} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
    environment = "env -i HOME=/home PATH=/usr/bin:/bin PYTHONUNBUFFERED=1"
    steps.append(f"exec chroot {NEW_ROOT} setpriv {rights} {environment} {shlex.join(command)}")
    return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", "\n".join(steps)]


@pytest.fixture(scope="module")
def locks():
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "chroot"))):
        pytest.skip("laying a read-only root needs root, unshare and setpriv")
    if hidden_ancestor(ROOT) is not None:
        pytest.skip("the checkout lies in a folder that other users may not enter")
    tried = subprocess.run(sandbox(["true"]), capture_output=True, text=True, timeout=30, check=False)
    if tried.returncode != 0:
        pytest.skip(f"this machine does not allow mount namespaces: {tried.stderr.strip()[:200]}")


@pytest.mark.triton
def test_nothing_can_be_written_and_no_right_is_left_behind_these_locks(locks):
    probe = "cat /proc/self/status; touch /work-x /etc/x /usr/x 2>&1; touch /tmp/x /home/x /dev/shm/x && echo memory"
    ran = subprocess.run(sandbox(["sh", "-c", probe]), capture_output=True, text=True, timeout=30, check=False)
    assert ran.stdout.count("Read-only file system") == 3, ran.stdout + ran.stderr
    assert ran.stdout.endswith("memory\n")
    assert f"Uid:\t{USER}\t{USER}" in ran.stdout


@pytest.mark.triton
@pytest.mark.timeout(120)
async def test_the_service_works_behind_the_containers_locks(locks):
    grpc_port, metrics_port = free_ports(2)
    options = ["serve", "--model", str(ROOT / "models" / "default"), "--max-streams", "4", "--threads", "1"]
    ports = ["--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port)]
    command = sandbox([str(Path(sys.executable).parent / "python"), tritone(), *options, *ports])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            line = server.stdout.readline()
            assert line.startswith("tritone: ready on"), line + server.stderr.read()
            family = [server.pid, *(child.pid for child in psutil.Process(server.pid).children(recursive=True))]
            assert len(family) >= 4  # the supervisor, Triton, two models
            for pid in family:
                status = Path(f"/proc/{pid}/status").read_text()
                assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}" in status
                assert "CapEff:\t0000000000000000" in status
                assert "CapBnd:\t0000000000000000" in status
                assert "NoNewPrivs:\t1" in status
            audio, _ = soundfile.read(ROOT / "tests" / "audio" / "asterisk-ru-conf-invalid.wav", dtype="int16")
            pieces = [audio.tobytes()[i : i + 4800] for i in range(0, audio.nbytes, 4800)]
            async with Client(f"127.0.0.1:{grpc_port}") as client:
                assert [event async for event in client.transcribe(pieces) if isinstance(event, Final)]
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
    assert server.returncode == 0
