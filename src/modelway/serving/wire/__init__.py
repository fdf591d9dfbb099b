"""HTTP/1.1 as the server speaks it: bytes to exchanges and back, on llhttp's parser; knows nothing of models.

Read `exchange.py` first (a request and its one answer), then `reader.py` (bytes to requests, with what `heads.py` asks of them),
`connection.py` (one client), `listener.py` (all of them), and `asgi.py`, which lets an ordinary ASGI application answer.
Hand-written because the HTTP stack is the limit of a Python server.
"""
