"""Python runs this before the emulator, which by itself serves one connection after the other.

A client that holds one answer while it asks for the next, as every merge of several files does, would then wait for ever
as soon as the first answer is larger than what the sockets hold.
"""

import threading
from http import server

server.HTTPServer = server.ThreadingHTTPServer
server.HTTPServer.request_queue_size = 128

from gcp_storage_emulator.server import HANDLERS  # noqa: E402: it keeps the class that it finds

lock = threading.Lock()


def one_at_a_time(handler):
    def call(request, response, storage, *args, **kwargs):
        request.data  # Comes over the network, and is kept: read before the storage is locked.
        with lock:
            return handler(request, response, storage, *args, **kwargs)

    return call


for _, handlers in HANDLERS:
    for method, handler in handlers.items():
        handlers[method] = one_at_a_time(handler)
