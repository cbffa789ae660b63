# SPDX-License-Identifier: MIT
"""The dock of tables: columns of a run's own are not repeated, and tabs of several channels can be told apart."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def application():
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    widgets = pytest.importorskip("qtpy.QtWidgets")
    return widgets.QApplication.instance() or widgets.QApplication([])


@pytest.fixture
def dock(application):
    from tilecast_napari.tables import TableDock

    return TableDock(SimpleNamespace(window=SimpleNamespace(add_dock_widget=lambda *_, **__: None)))


def test_a_column_that_the_table_has_is_not_put_in_front_again(dock) -> None:
    table = {"title": "measurements", "columns": ["well", "site", "area"], "rows": [["A01", 1, 70]]}
    dock.show("key", "measurements", [(table, {"well": "A01", "site": 1})])
    assert dock.rows("key") == (["well", "site", "area"], [["A01", 1, 70]])


def test_what_a_table_does_not_say_is_put_in_front_where_it_tells_rows_apart(dock) -> None:
    parts = [({"columns": ["area"], "rows": [[area]]}, {"well": "A01", "site": site}) for site, area in ((1, 70), (2, 80))]
    dock.show("key", "measurements", parts)
    assert dock.rows("key") == (["well", "site", "area"], [["A01", 1, 70], ["A01", 2, 80]])
