# SPDX-License-Identifier: MIT
"""Measurements beside the picture: a dock with one tab a table; rows say which well and field they are of."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtWidgets import QTableView, QTabWidget


class _Model(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.columns: list[str] = []
        self.rows: list[list] = []

    def replace(self, columns: list[str], rows: list[list]) -> None:
        self.beginResetModel()
        self.columns, self.rows = columns, rows
        self.endResetModel()

    def rowCount(self, _parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008
        return len(self.rows)

    def columnCount(self, _parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008
        return len(self.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return None
        value = self.rows[index.row()][index.column()]
        if role == Qt.ItemDataRole.DisplayRole and isinstance(value, float):
            return f"{value:.6g}"
        return value

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return self.columns[section] if orientation == Qt.Orientation.Horizontal else section + 1


class TableDock:
    """Made with the first table."""

    def __init__(self, viewer: Any) -> None:
        self._tabs = QTabWidget()
        self._views: dict[str, tuple[QTableView, _Model]] = {}
        self._dock = viewer.window.add_dock_widget(self._tabs, name="tables", area="bottom")

    def show(self, key: str, title: str, parts: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
        """`parts` are tables of the same kind with the components they are of."""
        if key not in self._views:
            model = _Model()
            sorted_model = QSortFilterProxyModel()
            sorted_model.setSourceModel(model)
            sorted_model.setSortRole(Qt.ItemDataRole.EditRole)
            view = QTableView()
            view.setModel(sorted_model)
            view.setSortingEnabled(True)
            view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
            self._views[key] = (view, model)
            self._tabs.addTab(view, title)
        components = list(dict.fromkeys(name for _, of in parts for name in of))
        columns = list(dict.fromkeys(name for table, _ in parts for name in table["columns"]))
        wanted = [n for n in components if n not in columns and (n == "well" or len({of.get(n) for _, of in parts}) > 1)]
        rows = []
        for table, of in parts:
            at = {name: i for i, name in enumerate(table["columns"])}
            head = [of.get(n) for n in wanted]
            rows += [head + [row[at[n]] if n in at else None for n in columns] for row in table["rows"]]
        model = self._views[key][1]
        if wanted + columns != model.columns or rows != model.rows:
            model.replace([*wanted, *columns], rows)
            self._views[key][0].resizeColumnsToContents()

    def rows(self, key: str) -> tuple[list[str], list[list]]:
        model = self._views[key][1]
        return model.columns, model.rows

    def remove(self, key: str) -> None:
        entry = self._views.pop(key, None)
        if entry is not None:
            self._tabs.removeTab(self._tabs.indexOf(entry[0]))
