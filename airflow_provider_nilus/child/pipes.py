"""The pipes between a task and its child: one to the child's standard input, three from it."""

from __future__ import annotations

import os
import selectors
from contextlib import suppress

_CHUNK = 1 << 16


class Pipes:
    """Reads and writes all pipes without ever blocking on one of them.

    No process started meanwhile inherits an end by exec: the child takes the end of its standard input for the death
    of its parent.
    """

    def __init__(self) -> None:
        self._selector: selectors.BaseSelector | None = None
        self._writer = -1
        self._readers: dict[int, str] = {}
        self._child: list[int] = []
        self._outgoing = bytearray()

    def open(self) -> None:
        """Make the pipes.

        Raises:
            OSError: too many files are open.
        """
        self._selector = selectors.DefaultSelector()
        reader, self._writer = os.pipe()
        self._child.append(reader)
        os.set_blocking(self._writer, False)
        for name in ("stdout", "stderr", "events"):
            reader, writer = os.pipe()
            self._readers[reader] = name
            self._child.append(writer)
            os.set_blocking(reader, False)
            self._selector.register(reader, selectors.EVENT_READ)

    @property
    def child_ends(self) -> tuple[int, int, int, int]:
        """The child's ends: standard input, output, error, and that for events."""
        stdin, stdout, stderr, events = self._child
        return stdin, stdout, stderr, events

    @property
    def streams(self) -> frozenset[str]:
        """The names of the streams that somebody may still write to: `stdout`, `stderr`, `events`."""
        return frozenset(self._readers.values())

    def close_child_ends(self) -> None:
        """Close the child's ends here, once it has them."""
        while self._child:
            os.close(self._child.pop())

    def send(self, data: bytes) -> None:
        """Write to the child's standard input, as it reads: what does not fit goes with later `receive` calls."""
        if self._selector is None or self._writer < 0:
            return
        if not self._outgoing:
            self._selector.register(self._writer, selectors.EVENT_WRITE)
        self._outgoing += data

    def receive(self, seconds: float) -> list[tuple[str, bytes]]:
        """Wait until something can be read or written, at most so long, and return what came, by stream."""
        if self._selector is None:
            return []
        received = []
        for key, _ in self._selector.select(seconds):
            if key.fd == self._writer:
                self._write(self._selector)
            elif data := self._read(key.fd, self._selector):
                received.append((self._readers[key.fd], data))
        return received

    def close(self) -> None:
        """Close everything. The child's watchdog takes it for the parent's death."""
        self.close_child_ends()
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1
        while self._readers:
            os.close(self._readers.popitem()[0])

    def _write(self, selector: selectors.BaseSelector) -> None:
        try:
            written = os.write(self._writer, self._outgoing[:_CHUNK])
            del self._outgoing[:written]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._outgoing.clear()
        if not self._outgoing:
            selector.unregister(self._writer)

    def _read(self, fd: int, selector: selectors.BaseSelector) -> bytes:
        with suppress(BlockingIOError):
            data = os.read(fd, _CHUNK)
            if not data:
                selector.unregister(fd)
                del self._readers[fd]
                os.close(fd)
            return data
        return b""
