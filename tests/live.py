"""Sliders in a real kernel, moved as a notebook's page moves them: by messages."""

import time
from contextlib import contextmanager

from jupyter_client.manager import start_new_kernel

TIMEOUT = 120  # seconds without any message


class Sliders:
    """A kernel and what a notebook's page knows of it: {id: state} of every widget."""

    def __init__(self, client):
        self.client, self.states, self.images = client, {}, []

    def run(self, code):
        """Run a cell; the seconds until the kernel is idle. Raises RuntimeError with its error."""
        start = time.perf_counter()
        self._listen(self.client.execute(code))
        return time.perf_counter() - start

    def move(self, name, value):
        """Move the slider described as `name`: (bytes of the new picture, seconds until it came).

        Raises RuntimeError where there is not one new picture.
        """
        (slider,) = (key for key, s in self.states.items() if s.get("description") == name)
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        message = self.client.session.msg("comm_msg", {"comm_id": slider, "data": data})
        self.images = []
        start = time.perf_counter()
        self.client.shell_channel.send(message)
        self._listen(message["header"]["msg_id"])
        if len(self.images) != 1:
            raise RuntimeError(f"{len(self.images)} pictures, not one, from a move of {name}")
        picture, came = self.images[0]
        return picture, came - start

    def _listen(self, request):
        """Follow the kernel until it has done what was asked for."""
        done = False
        while not done:
            message = self.client.get_iopub_msg(timeout=TIMEOUT)
            content, kind = message["content"], message["msg_type"]
            if kind == "error":
                raise RuntimeError(f"{content['ename']}: {content['evalue']}")
            if kind in ("comm_open", "comm_msg") and "state" in content["data"]:
                state = self.states.setdefault(content["comm_id"], {})
                state |= content["data"]["state"]
                if message["buffers"]:
                    self.images.append((bytes(message["buffers"][0]), time.perf_counter()))
            mine = message["parent_header"].get("msg_id") == request
            done = mine and kind == "status" and content["execution_state"] == "idle"


@contextmanager
def kernel():
    """The Sliders of a new kernel, which ends with the block."""
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield Sliders(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
