# SPDX-License-Identifier: MIT
"""One trial of OpenHCS's sender: python sender.py TASK (JSON). Prints the seconds of every call of every case as JSON."""

import json
import logging
import sys
import time

import numpy as np
import zmq
from openhcs.runtime.zmq_config import OPENHCS_ZMQ_CONFIG
from polystore.napari_stream import NapariStreamingBackend
from polystore.streaming.identity import StreamProducerIdentity
from polystore.streaming.viewer_transport import (
    IndexedViewerStreamSourceMetadata,
    ViewerDisplayConfigABC,
    ViewerStreamProducer,
    ViewerStreamRequest,
    ViewerStreamSource,
    ViewerStreamSourceIdentity,
)
from zmqruntime.config import TransportMode
from zmqruntime.transport import get_control_url
from zmqruntime.viewer_protocol import ViewerTransportEndpoint

COMPONENTS = ("site", "channel", "z_index", "timepoint", "well")


class Display(ViewerDisplayConfigABC):
    COMPONENT_ORDER = COMPONENTS

    def component_modes(self):
        return dict.fromkeys(COMPONENTS, "stack")

    def display_payload_extra(self):
        return {"colormap": "gray", "variable_size_handling": "pad_to_max"}


def request(port, batch):
    metadata = [{"site": 1, "channel": 1, "z_index": z, "timepoint": 1, "well": "A01"} for z in range(1, batch + 1)]
    identity = StreamProducerIdentity.pipeline_output(
        output_kind="main", output_key="main", projection_key="main", step_name="Blur", pipeline_position=0
    )
    domain = {"site": [1], "channel": [1], "z_index": list(range(1, batch + 1)), "timepoint": [1], "well": ["A01"]}
    return ViewerStreamRequest(
        viewer_transport=ViewerTransportEndpoint(host="localhost", port=port, transport_mode=TransportMode.IPC),
        display_config=Display(),
        source=ViewerStreamSource(
            identity=ViewerStreamSourceIdentity(microscope_handler=None, plate_path="/data/plate"),
            metadata=IndexedViewerStreamSourceMetadata(metadata),
        ),
        producer=ViewerStreamProducer.from_identity(identity),
        message_extra={"component_names_metadata": {}, "component_value_domain": domain},
    )


def clear(port):
    socket = zmq.Context.instance().socket(zmq.REQ)
    socket.linger = 0
    socket.connect(get_control_url(port, TransportMode.IPC, config=OPENHCS_ZMQ_CONFIG))
    socket.send_pyobj({"type": "clear_state"})
    socket.recv()
    socket.close()


def main():
    logging.disable(logging.CRITICAL)
    task = json.loads(sys.argv[1])
    backend = NapariStreamingBackend(OPENHCS_ZMQ_CONFIG)
    results = []
    for case in task["cases"]:
        size, batch = case["size"], case["batch"]
        images = [np.full((size, size), 7, np.uint16) for _ in range(batch)]
        paths = [f"/data/plate/z{z}.tif" for z in range(batch)]
        stream_request = request(task["port"], batch)
        backend.save_batch(images, paths, stream_request=stream_request)
        calls = []
        end = time.perf_counter() + task["seconds"]
        while not calls or time.perf_counter() < end:
            begin = time.perf_counter()
            backend.save_batch(images, paths, stream_request=stream_request)
            calls.append(time.perf_counter() - begin)
        clear(task["port"])
        results.append({"size": size, "batch": batch, "calls": calls})
    print(json.dumps(results), flush=True)
    # Its acknowledgement thread would keep the process.
    import os

    os._exit(0)


main()
