# SPDX-License-Identifier: MIT
"""The real zmqruntime, 0.2 or 0.6, as a client (commands as lines of JSON on stdin) or as an execution server (`serve PORT DIR JOURNAL`)."""

import json
import sys
import time
from pathlib import Path

from zmqruntime.client import EndpointShutdownMode, ZMQClient
from zmqruntime.config import TransportMode, ZMQConfig
from zmqruntime.execution.client import ExecutionClient
from zmqruntime.execution.server import ExecutionServer
from zmqruntime.messages import ExecuteRequest, ProcessIdentity
from zmqruntime.runner import serve_forever
from zmqruntime.startup import (
    EndpointStartupPhase,
    EndpointStartupStatusReader,
    EndpointStartupStatusWriter,
)
from zmqruntime.transport import endpoint_startup_lock, request_control_ping
from zmqruntime.timeouts import OperationDeadline

# What 0.2 calls plate_id.
SUBJECT = "subject_id" if "subject_id" in ExecuteRequest.__dataclass_fields__ else "plate_id"


def config(directory):
    return ZMQConfig(app_name="tilecast", ipc_socket_dir=directory, ipc_socket_prefix="tilecast-zmq")


class Server(ExecutionServer):
    _server_type = "execution"

    def execute_task(self, execution_id, request):
        subject = getattr(request, SUBJECT)
        if subject == "bad":
            raise ValueError("no such plate")
        for i in range(3):
            self.send_progress_update(
                {
                    "execution_id": execution_id,
                    SUBJECT: subject,
                    "axis_id": "",
                    "step_name": "s",
                    "phase": "running",
                    "status": "running",
                    "percent": 50.0 * i,
                    "completed": i,
                    "total": 2,
                    "timestamp": time.time(),
                    "pid": 1,
                }
            )
            time.sleep(0.05)
        if subject == "slow":
            time.sleep(60)
        return {"A01": 1, "B02": 2}


class Client(ExecutionClient):
    def serialize_task(self, task, config):
        return ExecuteRequest.from_dict(task) if SUBJECT == "subject_id" else task

    def _spawn_server_process(self):
        raise RuntimeError("nothing to spawn")

    def send_data(self, data):
        raise NotImplementedError


def serve(port, directory, journal):
    writer = EndpointStartupStatusWriter(Path(journal))
    writer.emit(EndpointStartupPhase.STARTING_PROCESS, "peer started")
    server = Server(int(port), transport_mode=TransportMode.IPC, config=config(directory))
    writer.emit(EndpointStartupPhase.BINDING_ENDPOINT, "binding")
    serve_forever(server)


def pong(p):
    if p is None:
        return None
    identity = p.process_identity
    return {
        **p.to_dict(),
        "alive": None if identity is None else identity.is_alive(),
        "same": identity is not None and identity == ProcessIdentity(identity.pid, identity.create_time),
    }


def answer(q):
    c = config(q["dir"])
    ipc = TransportMode.IPC
    what = q["what"]
    port = q.get("port", 7777)
    if what == "ping":
        return pong(request_control_ping(port, ipc, config=c, timeout_ms=20000))
    if what == "scan":
        return [pong(p) for p in ZMQClient.scan_servers([port, port + 1], timeout_ms=5000, transport_mode=ipc, config=c)]
    if what == "stop":
        r = ZMQClient.shutdown_endpoint_on_port(
            port=port, mode=EndpointShutdownMode.FORCE, timeout=20, transport_mode=ipc, config=c
        )
        return [r.succeeded, r.endpoint_terminated]
    if what == "run":
        events = []
        client = Client(port, transport_mode=ipc, config=c, progress_callback=events.append)
        result = client.execute(q["request"])
        client.disconnect()
        return {"result": result, "events": events}
    if what == "root":
        # 0.6: a client connects only to a server that reports the client's own code.
        return {"code_root": Client.code_root(), "owner": ProcessIdentity.current().to_dict(), "audience": "any_session"}
    if what == "observe":
        client = Client(port, transport_mode=ipc, config=c)
        client.enable_progress_stream()
        found = {i: client.progress_observation(i) for i in q["ids"]}
        client.disconnect()
        return {i: None if o is None else o.as_wire() for i, o in found.items()}
    if what == "cancel":
        return Client(port, transport_mode=ipc, config=c).cancel_execution(q["id"])
    if what == "status":
        client = Client(port, transport_mode=ipc, config=c)
        return {"status": client.poll_status(q.get("id")), "cancel": client.cancel_execution("none")}
    if what == "lock":
        try:
            with endpoint_startup_lock(
                port, ipc, c, operation_deadline=OperationDeadline.after_milliseconds(q["ms"], operation="lock")
            ) as got:
                if q.get("hold"):
                    print(json.dumps("held"), flush=True)
                    sys.stdin.readline()
                return bool(got)
        except TimeoutError:
            return False
    if what == "journal":
        return [
            [s.phase.value, s.message, s.sequence]
            for s in EndpointStartupStatusReader(Path(q["path"])).read().statuses
        ]
    raise ValueError(what)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:5])
    else:
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), flush=True)
