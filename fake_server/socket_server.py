"""A socket that is listened on, and the threads that serve its connections until a stop ends them all."""

import contextlib
import selectors
import socket
import ssl
import threading
from typing import Any

from werkzeug.serving import BaseWSGIServer

from fake_server.connection import Handler

__all__ = ["SocketServer"]

# Seconds that a stop waits for its connections' threads.
_PATIENCE = 5
# Threads that there are from the start: enough for a client that asks, and closes, and asks again.
_FIRST = 2
# Threads that wait for a connection; more of them end.
_MOST_FREE = 8


class SocketServer(BaseWSGIServer):
    """Serve each connection in a thread of its own.

    Threads outlive their connections: to start one for each costs more than the rest of a short one. Those that
    are free take turns to accept, and serve what they accept themselves; when none is left, another is started.
    """

    multithread = True

    def __init__(self, listening: socket.socket, app: Any, tls: ssl.SSLContext | None) -> None:
        self._turn = threading.Lock()
        self._changes = threading.Condition()
        self._is_stopping = False
        self._threads: list[threading.Thread] = []
        self._serving: dict[threading.Thread, socket.socket] = {}
        self._leaving: list[threading.Thread] = []
        # werkzeug would print and call sys.exit() on a busy port: it is given a socket that listens already.
        with listening:
            host, port = listening.getsockname()[:2]
            super().__init__(host, port, app, Handler, fd=listening.fileno())
        # Not given to werkzeug, whose accepting thread would wait for each handshake; it reads the scheme here.
        self.ssl_context = tls
        self._wake, self._woken = socket.socketpair()
        self.socket.setblocking(False)  # who wanted to connect may have left before the accept()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.socket, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def start(self) -> None:
        """Accept connections from now on. Raises RuntimeError where the system gives no thread."""
        with self._changes:
            for _ in range(_FIRST):
                self._add_thread()

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"fake_server-{self.port}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while (accepted := self._accept()) is not None:
            self._serve(*accepted)
            if threading.current_thread() in self._leaving:
                return

    def _serve(self, connection: socket.socket, address: Any) -> None:
        try:
            self.finish_request(connection, address)
        except Exception:
            self.handle_error(connection, address)
        except BaseException as error:  # a pytest.fail() in a route of the test's own: pytest tells of it by this hook
            thread = threading.current_thread()
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))
        finally:
            self.shutdown_request(connection)

    def _accept(self) -> tuple[socket.socket, Any] | None:
        """Return the next connection with its client's address, or None at a stop."""
        with self._turn:
            while self._wait_for_client():
                # Where a test forbids all sockets, accept() raises; the tests after it want to be served.
                with contextlib.suppress(Exception):
                    accepted: tuple[socket.socket, Any] = self.get_request()
                    if self._admit(accepted[0]):
                        return accepted
        return None

    def _wait_for_client(self) -> bool:
        """Wait, and tell whether somebody wants to connect: else it is the stop."""
        if not self._is_stopping:
            self._selector.select()
        return not self._is_stopping

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.ssl_context is not None:
            # The handshake is made where the connection is served: one that never comes must not keep the others out.
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def _admit(self, connection: socket.socket) -> bool:
        """Take a connection in, which this thread will serve, and see that another is free to accept; not at a stop."""
        with self._changes:
            if self._is_stopping:
                self.close_request(connection)
                return False
            self._serving[threading.current_thread()] = connection
            if len(self._serving) == len(self._threads):
                # Where the system gives no other, the next connection waits for one of these.
                with contextlib.suppress(RuntimeError):
                    self._add_thread()
            return True

    def shutdown_request(self, request: Any) -> None:
        thread = threading.current_thread()
        with self._changes:  # or a stop might shut down another connection, which has got the number of this one
            del self._serving[thread]
            super().shutdown_request(request)
            if len(self._threads) - len(self._serving) > _MOST_FREE:
                self._threads.remove(thread)
                self._leaving = [thread, *filter(threading.Thread.is_alive, self._leaving)]
            self._changes.notify_all()

    def stop(self) -> None:
        """Close the socket, and end every connection, whatever its client is doing."""
        with self._changes:
            self._is_stopping = True
        self._wake.send(b"x")
        self._join_free_threads()
        self.server_close()  # nobody connects while the others end
        own = {threading.current_thread()}  # a route of the test's own may shut the door
        with self._changes:
            for connection in self._serving.values():
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            # One that waits in a route cannot be ended; all of them together have this time.
            self._changes.wait_for(lambda: self._serving.keys() <= own, timeout=_PATIENCE)
        self._join_free_threads()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _join_free_threads(self) -> None:
        with self._changes:
            free = [thread for thread in self._threads if thread not in self._serving]
        for thread in (*free, *self._leaving):
            thread.join()
