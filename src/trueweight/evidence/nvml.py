"""Energy counters of NVIDIA's cards, asked of the driver's own library (NVML), which needs no package."""

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any

__all__ = ["Nvml", "open_nvml"]

_LIBRARY = "libnvidia-ml.so.1"
_NOT_SUPPORTED = 3


class Nvml:
    """The cards of this machine.

    Args:
        library: The driver's library, or what answers like it.

    Raises:
        OSError: The driver does not answer.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._require(library.nvmlInit_v2(), "start")
        count = ctypes.c_uint()
        self._require(library.nvmlDeviceGetCount_v2(ctypes.byref(count)), "count its cards")
        self._cards = dict(self._card(place) for place in range(count.value))

    def _card(self, place: int) -> tuple[str, ctypes.c_void_p]:
        handle, name = ctypes.c_void_p(), ctypes.create_string_buffer(96)
        self._require(self._library.nvmlDeviceGetHandleByIndex_v2(place, ctypes.byref(handle)), "find a card")
        self._require(self._library.nvmlDeviceGetUUID(handle, name, len(name)), "name a card")
        return name.value.decode("ascii", "replace"), handle

    def _require(self, code: int, what: str) -> None:
        if code:
            told = "does not count energy on this card" if code == _NOT_SUPPORTED else f"cannot {what} (error {code})"
            raise OSError(f"the graphics driver {told}")

    def joules(self) -> Mapping[str, float]:
        """By card's UUID, since the driver was loaded. Counts are renewed about every 100 ms.

        Raises:
            OSError: A card has no counter (those before Volta, and parts of a divided card).
        """
        found = {}
        for name, handle in self._cards.items():
            millijoules = ctypes.c_ulonglong()
            code = self._library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
            self._require(code, "read the energy")
            found[name] = millijoules.value / 1000
        return found


@cache
def open_nvml() -> Nvml | str:
    """The cards, once for the process; or why they cannot be asked, empty where there is no such driver."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return ""
    try:
        return Nvml(library)
    except (OSError, AttributeError) as error:
        return str(error)
