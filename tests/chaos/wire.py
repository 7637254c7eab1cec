"""A wire between two network namespaces that delays, loses and cuts packets: netem's work, for kernels without it.

Each end is a TUN device, and a thread carries IP packets from one to the other, so that it is the kernels' own TCP that
meets the weather: retransmissions, back-off, half-open connections, unreachable networks.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

TUN = Path("/dev/net/tun")
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, IFF_UP = 0x8914, 0x8916, 0x891C, 0x1
LARGEST = 2048  # bytes of a packet; the devices' own limit is 1500
ResultT = TypeVar("ResultT")


def why_not() -> str:
    """Why there can be no wires on this machine, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces and TUN devices need root"
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        return "needs unshare and nsenter"
    if not TUN.exists():
        return f"needs {TUN}"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False, text=True)
    return "" if not tried.returncode else f"network namespaces are not allowed here: {tried.stderr.strip()}"


class Place:
    """A network namespace with loopback, as long as a process that does nothing lives in it."""

    def __init__(self) -> None:
        ours = Path("/proc/self/ns/net").readlink()
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "3600"])
        self.path = Path(f"/proc/{self._holder.pid}/ns/net")
        deadline = time.monotonic() + 10
        while self.path.readlink() == ours:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.run(lambda: link("lo", up=True))

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command is run under to run there."""
        return ("nsenter", f"--net={self.path}")

    def run(self, what: Callable[[], ResultT]) -> ResultT:
        """Call something there, in a thread of its own: only that thread moves."""
        results: list[ResultT] = []
        errors: list[OSError] = []

        def there() -> None:
            try:
                with self.path.open() as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(what())
            except OSError as error:
                errors.append(error)

        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def close(self) -> None:
        """Nothing that runs there is ended."""
        self._holder.kill()
        self._holder.wait()


class Wire:
    """Between here and a place; usable while open.

    Attributes:
        delay_s: each packet waits so long, in each direction.
        loss: share of packets that are lost.
        cut: all packets are lost.
        carried, lost: packets so far.
    """

    def __init__(self, name: str, here: str, there: str, place: Place) -> None:
        """Make both ends.

        Args:
            name: of the devices.
            here, there: IPv4 addresses of the ends, in one net of 255.255.255.252.
            place: where the other end is.
        """
        self.delay_s = self.loss = 0.0
        self.cut = False
        self.carried = self.lost = 0
        self._name = name
        self._random = random.Random(1)
        self._ends = [_device(name, here), place.run(lambda: _device(name, there))]
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="wire", daemon=True)
        self._thread.start()

    def unplug(self, *, plugged: bool = False) -> None:
        """Take our end down, or up again: the kernel says at once that there is no route, instead of silence."""
        link(self._name, up=plugged)

    def close(self) -> None:
        """Remove both ends."""
        self._closing.set()
        self._thread.join()
        for end in self._ends:
            os.close(end)

    def _carry(self) -> None:
        under_way: deque[tuple[float, int, bytes]] = deque()  # due, to which end, packet; the delay never shrinks much
        while not self._closing.is_set():
            wait = 0.1 if not under_way else min(0.1, max(0.0, under_way[0][0] - time.monotonic()))
            readable, _, _ = select.select(self._ends, [], [], wait)
            for end in readable:
                with contextlib.suppress(OSError):  # a device that is down has nothing to say
                    packet = os.read(end, LARGEST)
                    if self.cut or self._random.random() < self.loss:
                        self.lost += 1
                    else:
                        under_way.append((time.monotonic() + self.delay_s, self._other(end), packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, end, packet = under_way.popleft()
                with contextlib.suppress(OSError):
                    os.write(end, packet)
                    self.carried += 1

    def _other(self, end: int) -> int:
        return self._ends[1] if end == self._ends[0] else self._ends[0]


def link(name: str, *, up: bool, address: str = "") -> None:
    """Take a network device of the present namespace up or down, and give it an address first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, address and "255.255.255.252")):
            if value:
                packed = struct.pack("16sH2x4s8x", name.encode(), socket.AF_INET, socket.inet_aton(value))
                fcntl.ioctl(control, request, packed)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), IFF_UP if up else 0))


def _device(name: str, address: str) -> int:
    end = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    link(name, up=True, address=address)
    return end
