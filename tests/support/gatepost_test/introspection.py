"""Where a mail server asks whether a token is good (RFC 7662)."""

import http.server
import json
import threading
import urllib.parse

from .ports import free_port


class Introspection:
    """An HTTP server on loopback that knows some tokens: `tokens` maps each
    to the fields of the answer. Whatever else it is asked is not active."""

    def __init__(self, tokens):
        self.tokens, self.asked = tokens, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers GET URL...TOKEN."""

            protocol_version = "HTTP/1.1"

            def do_GET(self):  # pylint: disable=invalid-name
                """The token is the last argument of the URL."""
                outer.answer(self)

            def log_message(self, *_):
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/?token="
        self._thread = threading.Thread(target=self.server.serve_forever,
                                        daemon=True)
        self._thread.start()

    def answer(self, request):
        """Says of one token what is known of it."""
        query = urllib.parse.urlsplit(request.path).query
        token = urllib.parse.parse_qs(query).get("token", [""])[0]
        self.asked.append(token)
        body = json.dumps(self.tokens.get(token, {"active": False})).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def stop(self):
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
