from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from tritone_backend.serve import ServeError
from tritone_backend.serve.lease import Lease, remove_abandoned
from tritone_backend.serve.ports import accepts_connections, check_free, free_ports

pytestmark = pytest.mark.unit


def test_a_taken_port_is_named_together_with_its_flag():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        with pytest.raises(ServeError, match=rf"port {port} on 127\.0\.0\.1 is in use.*--grpc-port"):
            check_free("127.0.0.1", port, "--grpc-port")
        assert accepts_connections("127.0.0.1", port)
    check_free("127.0.0.1", port, "--grpc-port")
    assert not accepts_connections("127.0.0.1", port)


def test_a_foreign_address_is_refused():
    with pytest.raises(ServeError, match="not an address of this machine"):
        check_free("192.0.2.1", 8001, "--grpc-port")


def test_free_ports_are_distinct():
    assert len(set(free_ports(20))) == 20


def test_a_lease_removes_its_own_files_and_no_others(tmp_path):
    mine, other = Lease(tmp_path), Lease(tmp_path)
    mine.path("region-1").write_bytes(b"x")
    mine.path("files").mkdir()
    (mine.path("files") / "config").write_text("x")
    other.path("region-1").write_bytes(b"x")
    (tmp_path / "triton_python_backend_shm_region_1").write_bytes(b"x")
    assert mine.remove_files() == 2
    mine.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"{other.prefix}lock", f"{other.prefix}region-1", "triton_python_backend_shm_region_1"]
    )
    other.close()


def test_abandoned_files_go_only_when_no_process_holds_the_lock(tmp_path):
    lease = Lease(tmp_path)
    lease.path("region").write_bytes(b"x")
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(lease.lock_fd,)
    )
    os.close(lease.lock_fd)  # as if the supervisor had been killed while its server lives on
    try:
        assert remove_abandoned(tmp_path) == 0
        assert lease.path("region").exists()
    finally:
        holder.communicate(timeout=10)
    assert remove_abandoned(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
