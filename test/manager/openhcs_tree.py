# SPDX-License-Identifier: MIT
"""OpenHCS's own progress tree of the same events: reads lists of events as JSON, prints which were taken and what the tree says."""

import json
import sys

from openhcs.core.progress import ProgressEvent
from openhcs.core.progress.registry import ProgressRegistry
from openhcs.core.progress.runtime_tree import RuntimeTreeProjectionBuilder


def outline(nodes):
    return [
        [n.node_type, n.node_id, n.runtime_state.value if n.runtime_state else None, n.percent, outline(n.children)]
        for n in nodes
        if n.node_type != "step"
    ]


def project(events):
    registry = ProgressRegistry()
    registry.clear_all()
    taken = [registry.register_event("e1", ProgressEvent.from_dict(e)) for e in events]
    executions = {"e1": registry.get_events("e1")}
    tree = RuntimeTreeProjectionBuilder().build(executions=executions, get_plate_name=lambda plate, _: plate)
    return {"taken": taken, "tree": outline(tree.roots)}


print(json.dumps([project(events) for events in json.load(sys.stdin)]))
