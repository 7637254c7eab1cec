"""Refusals of machines: how many slots fit, which GPU there is, whether its driver is new enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritone_backend.engines.gpu import Gpu, find_gpu, require_driver
from tritone_backend.engines.memory import SERVICE_SLOTS, Budget
from tritone_backend.errors import EngineError

pytestmark = pytest.mark.unit


@given(
    free=st.integers(0, 1 << 40), fixed=st.integers(0, 1 << 36), each=st.integers(1, 1 << 20), spare=st.integers(0, 3)
)
def test_the_number_that_fits_is_the_largest_that_does(free, fixed, each, spare):
    fits = Budget(free, fixed, each, spare, "cuda").fits
    assert fits == 0 or fixed + (fits + spare) * each <= free
    assert fixed + (fits + 1 + spare) * each > free


def test_refusals_name_the_largest_number_that_works():
    budget = Budget(10 * 2**30, 2**30, 2**20, 2, "cuda")
    budget.require(9214)
    with pytest.raises(EngineError, match=r"^9215 slots need 10.0 GiB and 10.0 GiB are free on cuda: at most 9214 fit"):
        budget.require(9215)
    with pytest.raises(EngineError, match=f"use --max-streams {9214 - SERVICE_SLOTS} or fewer$"):
        budget.require(10**6)
    with pytest.raises(
        EngineError, match=r"^not one stream fits: the engine needs 1.0 GiB for the first, and 0.50 GiB"
    ):
        Budget(2**29, 2**30, 2**20, 2, "cuda").require(1)


class Driver:
    """libcuda.so.1 as far as it is asked."""

    def __init__(self, *, status: int = 0, gpus: int = 1, version: int = 13000) -> None:
        self.status, self.gpus, self.version = status, gpus, version

    def cuInit(self, flags):
        return self.status

    def cuDeviceGetCount(self, count):
        count._obj.value = self.gpus
        return 0

    def cuDeviceGet(self, device, index):
        return 0

    def cuDeviceGetName(self, name, size, device):
        name.value = b"NVIDIA H200"
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = {75: 9, 76: 0}[attribute]
        return 0

    def cuDriverGetVersion(self, value):
        value._obj.value = self.version
        return 0


def test_a_gpu_is_described():
    gpu = find_gpu(lambda name: Driver())
    assert gpu == Gpu("NVIDIA H200", (9, 0), (13, 0))
    assert gpu.architecture == "sm90"
    require_driver(gpu, "13.0", "PyTorch")
    require_driver(gpu, None, "PyTorch")


def test_no_driver_no_gpu_and_an_old_driver_are_one_line_each():
    def nothing(name):
        raise OSError(name)

    with pytest.raises(EngineError, match=r"no NVIDIA driver .libcuda.so.1.: install it, or take --engine onnxruntime"):
        find_gpu(nothing)
    with pytest.raises(EngineError, match=r"finds no GPU .CUDA error 100.: see nvidia-smi"):
        find_gpu(lambda name: Driver(status=100))
    with pytest.raises(EngineError, match="finds no GPU: see nvidia-smi"):
        find_gpu(lambda name: Driver(gpus=0))
    old = find_gpu(lambda name: Driver(version=12040))
    with pytest.raises(EngineError, match=r"speaks CUDA 12.4 and PyTorch 2.13 needs 13.0 or newer: update the driver"):
        require_driver(old, "13.0", "PyTorch 2.13")
