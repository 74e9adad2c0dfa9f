"""I6: the whole suite runs without network; only this machine can be reached."""

import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # a core each, or their threads wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", socket.gethostname())


@pytest.fixture(autouse=True, scope="session")
def without_network() -> Iterator[None]:
    """Connections to other machines fail, with a word that says why."""
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        is_elsewhere = isinstance(address, tuple) and address[0] not in HERE
        if is_elsewhere and not str(address[0]).startswith("127."):
            raise OSError(f"tests run without network, and {address} is another machine")
        original(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield


@pytest.fixture(autouse=True)
def without_handlers_of_others() -> Iterator[None]:
    """Hydra hands the root logger the screen of one test; in the next that screen is closed."""
    before = list(logging.root.handlers)
    yield
    for handler in logging.root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler not in before:
            logging.root.removeHandler(handler)
