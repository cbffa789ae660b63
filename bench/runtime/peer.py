#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times requests of zmqruntime's ExecutionClient to its ExecutionServer, as tilecast.mjs does; prints milliseconds of each."""

import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time

from zmqruntime.config import TransportMode, ZMQConfig
from zmqruntime.execution.client import ExecutionClient
from zmqruntime.execution.server import ExecutionServer
from zmqruntime.runner import serve_forever
from zmqruntime.transport import request_control_ping

logging.disable(logging.CRITICAL)
IPC = TransportMode.IPC
PORT = 7777
REQUEST = {"type": "execute", "plate_id": "p", "pipeline_code": "x = 1", "config_code": "config = 1"}


class Server(ExecutionServer):
    def execute_task(self, execution_id, request):
        return {}


class Client(ExecutionClient):
    def serialize_task(self, task, config):
        return task

    def _spawn_server_process(self):
        raise RuntimeError("the server runs already")

    def send_data(self, data):
        raise NotImplementedError


def timed(times, work):
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def main():
    count, folder = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    if folder is not None:
        serve_forever(Server(PORT, transport_mode=IPC, config=ZMQConfig(ipc_socket_dir=folder)))
        return
    with tempfile.TemporaryDirectory(prefix="tilecast-bench-") as folder:
        config = ZMQConfig(ipc_socket_dir=folder)
        server = subprocess.Popen([sys.executable, __file__, str(count), folder])
        try:

            def ping(timeout_ms=5000):
                if request_control_ping(PORT, IPC, config=config, timeout_ms=timeout_ms) is None:
                    raise RuntimeError("no pong")

            while not os.path.exists(os.path.join(folder, f"zmq-{PORT + 1000}.sock")):
                time.sleep(0.01)
            # Its pings take 13 ms: a tenth as many are a median as good.
            few = max(20, count // 10)
            timed(few, ping)
            client = Client(PORT, transport_mode=IPC, config=config)
            client.connect()
            client.submit_execution(REQUEST)
            result = {
                "ping": timed(few, ping),
                "submit": timed(few, lambda: client.submit_execution(REQUEST)),
                "complete": timed(max(5, math.ceil(count / 200)), lambda: client.execute(REQUEST)),
            }
            client.disconnect()
        finally:
            server.kill()
            server.wait()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
