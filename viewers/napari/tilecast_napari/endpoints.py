# SPDX-License-Identifier: MIT
"""Where the viewer listens, binding without taking another server's address, and leaving no file behind."""

from __future__ import annotations

import os
import socket
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import zmq

from tilecast_napari.errors import EndpointError

CONTROL_OFFSET = 1000
ACK_PORT = 7555
_MAX_SOCKET_PATH = 103 if os.uname().sysname == "Darwin" else 107


@dataclass(frozen=True)
class Endpoint:
    """The addresses of one port under one application's name; OpenHCS's or ours."""

    port: int
    transport: str = "ipc"
    app: str = "tilecast"

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535 - CONTROL_OFFSET:
            raise EndpointError(f"port: expected 1 to {65535 - CONTROL_OFFSET}, and got {self.port}")

    @property
    def folder(self) -> Path:
        return Path.home() / f".{self.app}" / "ipc"

    def path(self, port: int) -> Path | None:
        return self.folder / f"{self.app}-zmq-{port}.sock" if self.transport == "ipc" else None

    def url(self, port: int) -> str:
        path = self.path(port)
        return f"ipc://{path}" if path else f"tcp://127.0.0.1:{port}"

    @property
    def control_port(self) -> int:
        return self.port + CONTROL_OFFSET

    @property
    def ack_url(self) -> str:
        return self.url(ACK_PORT)


def is_local_url(url: object) -> bool:
    """Whether acknowledgements may go there: a viewer calls no other host."""
    if not isinstance(url, str) or len(url) > 256:
        return False
    return url.startswith(("ipc:///", "tcp://127.0.0.1:", "tcp://localhost:", "tcp://[::1]:"))


class BoundSocket:
    """A REP socket and, over IPC, its file."""

    def __init__(self, context: zmq.Context, endpoint: Endpoint, port: int, max_bytes: int) -> None:
        self.endpoint = endpoint
        self._path = endpoint.path(port)
        self._identity: tuple[int, int] | None = None
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
        try:
            if self._path is None:
                self._bind_tcp(endpoint.url(port))
            else:
                self._bind_file(self._path)
        except BaseException:
            self.socket.close()
            raise

    def _bind_tcp(self, url: str) -> None:
        try:
            self.socket.bind(url)
        except zmq.ZMQError as error:
            raise EndpointError(f"cannot listen on {url}: {error}. Another server has the port; choose one with --port") from error

    def _bind_file(self, path: Path) -> None:
        _make_folder(path.parent)
        if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
            raise EndpointError(f"the socket's path is too long for the system: {path}; use --transport tcp")
        with _bind_guard(path):
            if is_listening(path):
                raise EndpointError(f"another server listens on {path}; choose another port with --port")
            self.socket.bind(f"ipc://{path}")
            os.chmod(path, 0o600)
            self._identity = _identity(path)

    def keep_foreign_file(self) -> Path | None:
        """libzmq removes the path whatever it has become: another server's socket is linked aside first."""
        if self._path is None or (now := _identity(self._path)) is None or now == self._identity:
            return None
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.keep")
        os.link(self._path, aside)
        return aside

    def remove_file(self, aside: Path | None) -> None:
        """When the socket is closed for good."""
        if self._path is None:
            return
        if aside is not None:
            if not self._path.exists():
                os.link(aside, self._path)
            aside.unlink(missing_ok=True)
        elif self._identity is not None and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)


def is_listening(path: Path) -> bool:
    """Asks the kernel by connecting; nothing is sent. A full backlog and another user's socket are somebody's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True
        return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & stat.S_IWOTH:
        raise EndpointError(f"{folder} may be written by others, who could pose as the viewer: make it yours alone (chmod 700)")
    if folder.parent.name == ".tilecast":
        folder.chmod(0o700)


@contextmanager
def _bind_guard(path: Path):
    """Between the look and the bind no other tilecast process binds: libzmq replaces whatever file it finds."""
    guard = path.with_name(path.name + ".bind")
    deadline = time.monotonic() + 5
    while True:
        try:
            fd = os.open(guard, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            break
        except FileExistsError:
            pid = _guard_owner(guard)
            if pid and not os.path.exists(f"/proc/{pid}") and os.path.isdir("/proc/self"):
                guard.unlink(missing_ok=True)
            elif time.monotonic() > deadline:
                raise EndpointError(f"{path} is being bound by process {pid}") from None
            else:
                time.sleep(0.01)
    try:
        os.write(fd, str(os.getpid()).encode())
        yield
    finally:
        os.close(fd)
        guard.unlink(missing_ok=True)


def _guard_owner(guard: Path) -> int:
    try:
        return int(guard.read_text() or 0)
    except (OSError, ValueError):
        return 0
