# SPDX-License-Identifier: MIT
"""The real OpenHCS: its senders and client (commands as lines of JSON on stdin), or its napari server (`napari PORT LOG`)."""

import json
import sys
import time

import numpy as np

COMPONENTS = ("site", "channel", "z_index", "timepoint", "well")


def senders():
    """Imported late: the napari server does not need them."""
    from openhcs.runtime.zmq_config import OPENHCS_ZMQ_CONFIG
    from polystore.fiji_stream import FijiStreamingBackend
    from polystore.napari_stream import NapariStreamingBackend
    from polystore.streaming.viewer_transport import ViewerDisplayConfigABC

    class Display(ViewerDisplayConfigABC):
        COMPONENT_ORDER = COMPONENTS

        def __init__(self, viewer):
            self.viewer = viewer

        def component_modes(self):
            if self.viewer == "napari":
                return dict.fromkeys(COMPONENTS, "stack")
            return {c: {"channel": "channel", "z_index": "slice"}.get(c, "frame") for c in COMPONENTS}

        def display_payload_extra(self):
            if self.viewer == "napari":
                return {"colormap": "gray", "variable_size_handling": "pad_to_max"}
            return {"lut": "Grays", "auto_contrast": True}

    backends = {
        "napari": NapariStreamingBackend(OPENHCS_ZMQ_CONFIG),
        "fiji": FijiStreamingBackend(OPENHCS_ZMQ_CONFIG),
    }
    return backends, Display, OPENHCS_ZMQ_CONFIG


def send(backends, display, question):
    from polystore.roi import ROI, EllipseShape, PointShape, PolygonShape, PolylineShape
    from polystore.streaming.identity import StreamProducerIdentity
    from polystore.streaming.viewer_transport import (
        IndexedViewerStreamSourceMetadata,
        ViewerStreamProducer,
        ViewerStreamRequest,
        ViewerStreamSource,
        ViewerStreamSourceIdentity,
    )
    from zmqruntime.config import TransportMode
    from zmqruntime.viewer_protocol import ViewerTransportEndpoint

    viewer, items = question["viewer"], question["items"]
    data, paths, metadata = [], [], []
    for item in items:
        metadata.append(item["metadata"])
        if "shapes" in item:
            made = []
            for label, (kind, values) in enumerate(item["shapes"], 1):
                if kind == "polygon":
                    shape = PolygonShape(coordinates=np.array(values, float))
                elif kind == "path":
                    shape = PolylineShape(coordinates=np.array(values, float))
                elif kind == "ellipse":
                    shape = EllipseShape(*values)
                else:
                    shape = PointShape(*values)
                about = {"label": label, "area": 1.0, "perimeter": 1.0, "centroid": (1.0, 1.0), "bbox": (0, 0, 1, 1)}
                made.append(ROI(shapes=[shape], metadata=about))
            data.append(made)
            paths.append("/data/plate/%s.roi.zip" % item["name"])
        else:
            dtype = np.dtype(item["dtype"])
            shape = item["shape"]
            data.append(np.arange(int(np.prod(shape))).reshape(shape).astype(dtype) + dtype.type(item.get("from", 0)))
            paths.append("/data/plate/%s.tif" % item["name"])
    identity = StreamProducerIdentity.pipeline_output(
        output_kind="main", output_key="main", projection_key="main", step_name="Blur", pipeline_position=0
    )
    domain = {c: sorted({m[c] for m in metadata}, key=str) for c in COMPONENTS}
    request = ViewerStreamRequest(
        viewer_transport=ViewerTransportEndpoint(host="localhost", port=question["port"], transport_mode=TransportMode.IPC),
        display_config=display(viewer),
        source=ViewerStreamSource(
            identity=ViewerStreamSourceIdentity(microscope_handler=None, plate_path="/data/plate"),
            metadata=IndexedViewerStreamSourceMetadata(metadata),
        ),
        producer=ViewerStreamProducer.from_identity(identity),
        message_extra={"component_names_metadata": {"channel": {"1": "DAPI"}}, "component_value_domain": domain},
    )
    backends[viewer].save_batch(data, paths, stream_request=request)
    return True


def acknowledged(port, count, deadline=20.0):
    from zmqruntime.queue_tracker import GlobalQueueTrackerRegistry

    tracker = GlobalQueueTrackerRegistry().get_tracker(port)
    end = time.monotonic() + deadline
    while tracker.get_progress()[0] < count and time.monotonic() < end:
        time.sleep(0.02)
    return list(tracker.get_progress())


def ping(config, port):
    from zmqruntime.client import ZMQClient
    from zmqruntime.config import TransportMode
    from zmqruntime.transport import request_control_ping

    pong = request_control_ping(port, TransportMode.IPC, config=config, timeout_ms=5000)
    found = ZMQClient.scan_servers([port], timeout_ms=5000, transport_mode=TransportMode.IPC, config=config)
    return {
        "type": pong.server_type,
        "role": str(getattr(pong.server_role, "value", pong.server_role)),
        "ready": pong.ready,
        "found": [server.port for server in found],
    }


def rois(encoded):
    import base64

    import roifile

    result = []
    for text in encoded:
        roi = roifile.ImagejRoi.frombytes(base64.b64decode(text))
        result.append(
            {
                "type": roi.roitype.name,
                "name": roi.name,
                "bounds": [roi.top, roi.left, roi.bottom, roi.right],
                "position": [roi.c_position, roi.z_position, roi.t_position],
                # As x, y.
                "coordinates": roi.coordinates().tolist(),
                "subpixel": bool(roi.options & roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION),
                "oval": [roi.xd, roi.yd, roi.widthd, roi.heightd],
            }
        )
    return result


def answer():
    backends, display, config = senders()
    for line in sys.stdin:
        question = json.loads(line)
        what = question["what"]
        try:
            if what == "send":
                result = send(backends, display, question)
            elif what == "acknowledged":
                result = acknowledged(question["port"], question["count"])
            elif what == "ping":
                result = ping(config, question["port"])
            else:
                result = rois(question["rois"])
        except Exception as error:  # Whatever the peer raises is the answer.
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["napari"]:
        from openhcs.runtime.napari_viewer_server import run_napari_viewer_process
        from zmqruntime.config import TransportMode

        run_napari_viewer_process(int(sys.argv[2]), "OpenHCS", False, sys.argv[3], TransportMode.IPC)
    else:
        answer()
