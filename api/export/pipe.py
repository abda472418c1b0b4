"""A pipe from a writer in a thread to a reader on the event loop.

Law: memory is bounded: a writer waits while the reader is behind. Whoever stops reading stops the
writer; a writer that nobody reads from for long gives up. What a writer raises before its first
bytes is raised to the reader before any are told.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncGenerator, Callable
from typing import BinaryIO

CHUNK_BYTES = 256 * 1024
CHUNKS_MAX = 4
READER_SECONDS_MAX = 60.0


class NobodyReads(Exception):
    """The reader went away, or took nothing for too long."""


class Pipe(io.RawIOBase):
    """The end that is written to, in a thread; iterate over `chunks` at the other end."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(CHUNKS_MAX)
        self._held = bytearray()
        self._written = 0
        self._stopped = threading.Event()

    # --- writing: in the thread --------------------------------------------------------------

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        """How many bytes were written."""
        return self._written

    def write(self, data: object, /) -> int:
        """Take bytes; wait while the reader is behind.

        Raises:
            NobodyReads: nobody will read them.
        """
        view = memoryview(data)  # type: ignore[arg-type]
        self._written += view.nbytes
        self._held += view.cast("B")
        if len(self._held) >= CHUNK_BYTES:
            self._pass_on(bytes(self._held))
            self._held.clear()
        return view.nbytes

    def _pass_on(self, chunk: bytes | BaseException | None) -> None:
        if self._stopped.is_set():
            raise NobodyReads
        passed = asyncio.run_coroutine_threadsafe(self._chunks.put(chunk), self._loop)
        try:
            passed.result(READER_SECONDS_MAX)
        except BaseException as error:
            passed.cancel()
            raise NobodyReads from error

    def run(self, work: Callable[[BinaryIO], None]) -> None:
        """Do the writing, to its end or its failure; call it in a thread."""
        sink: BinaryIO = self  # type: ignore[assignment]
        end: BaseException | None = None
        try:
            work(sink)
            if self._held:
                self._pass_on(bytes(self._held))
        except NobodyReads:
            return
        except BaseException as error:
            end = error
        try:
            self._pass_on(end)
        except NobodyReads:
            return

    # --- reading: on the event loop ----------------------------------------------------------

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """What is written, as it comes.

        Raises:
            BaseException: what the writing raised.
        """
        try:
            while (chunk := await self._chunks.get()) is not None:
                if isinstance(chunk, BaseException):
                    raise chunk
                yield chunk
        finally:
            self.stop()

    def stop(self) -> None:
        """Nobody reads any more: whoever writes is told so."""
        self._stopped.set()
        while not self._chunks.empty():
            self._chunks.get_nowait()
