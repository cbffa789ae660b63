# SPDX-License-Identifier: MIT
"""The dock widget: whether a receiver listens in this napari, where, and how much it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLabel, QPushButton, QSpinBox, QWidget

from tilecast_napari.errors import EndpointError

if TYPE_CHECKING:
    import napari

    from tilecast_napari.receiver import Receiver


class ReceiverWidget(QWidget):
    """Starts and stops a receiver; with `receiver`, shows one that runs already and belongs to the process."""

    def __init__(self, napari_viewer: napari.Viewer, receiver: Receiver | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._is_owner = receiver is None
        self.receiver: Receiver | None = None
        self._port = QSpinBox()
        self._port.setRange(1, 64535)
        self._port.setValue(5555)
        self._openhcs = QCheckBox("OpenHCS senders too")
        self._follow = QCheckBox("go to new images")
        self._toggle = QPushButton("Listen")
        self._clear = QPushButton("Clear")
        self._status = QLabel("not listening")
        self._status.setWordWrap(True)
        layout = QFormLayout(self)
        if self._is_owner:
            layout.addRow("port", self._port)
            layout.addRow(self._openhcs)
        buttons = QHBoxLayout()
        if self._is_owner:
            buttons.addWidget(self._toggle)
        buttons.addWidget(self._clear)
        layout.addRow(self._status)
        layout.addRow(self._follow)
        layout.addRow(buttons)
        self._toggle.clicked.connect(self._on_toggle)
        self._clear.clicked.connect(self._on_clear)
        self._follow.toggled.connect(self._on_follow)
        if receiver is not None:
            self._follow.setChecked(receiver.display.follow)
            self._attach(receiver)
        else:
            # A window that closes takes the receiver along: no sender shall stream into one that is gone.
            self.destroyed.connect(lambda *_: self._detach())
            napari_viewer.window._qt_window.destroyed.connect(lambda *_: self._detach())

    def _attach(self, receiver: Receiver) -> None:
        self.receiver = receiver
        receiver.display.changed.connect(self._show)
        self._show()

    def _detach(self) -> None:
        receiver, self.receiver = self.receiver, None
        if receiver is not None and self._is_owner:
            receiver.stop()

    def _on_toggle(self) -> None:
        from tilecast_napari.receiver import Receiver

        if self.receiver is not None:
            self._detach()
            self._show()
            return
        receiver = Receiver(
            self._viewer, port=self._port.value(), openhcs=self._openhcs.isChecked(), on_end=self._on_end
        )
        receiver.display.follow = self._follow.isChecked()
        try:
            receiver.start()
        except EndpointError as error:
            receiver.stop()
            self._status.setText(str(error))
            return
        self._attach(receiver)

    def _on_end(self) -> None:
        """A peer may end the receiver, not the napari that somebody works in."""
        self._detach()
        self._show()

    def _on_clear(self) -> None:
        if self.receiver is not None:
            self.receiver.clear()

    def _on_follow(self, follow: bool) -> None:
        if self.receiver is not None:
            self.receiver.display.follow = follow

    def _show(self) -> None:
        receiver: Any = self.receiver
        self._toggle.setText("Listen" if receiver is None else "Stop")
        self._port.setEnabled(receiver is None)
        self._openhcs.setEnabled(receiver is None)
        if receiver is None:
            self._status.setText("not listening")
            return
        status = receiver.status()
        self._status.setText(
            f"listening on port {receiver.port}\n{status['planes']} planes, {status['resident']} in memory "
            f"({status['memory_used'] / 1e6:.0f} of {status['memory_budget'] / 1e6:.0f} MB)"
            + (f"\n{status['dropped']} dropped" if status["dropped"] else "")
        )
