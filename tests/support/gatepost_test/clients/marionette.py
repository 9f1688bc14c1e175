"""Marionette: how a program made of Mozilla's Gecko is told from outside to
run a script in its window. Over TCP, each message with its length before it:
[0, id, command, parameters] there, [1, id, error, result] back."""

import json
import socket
import time

PAUSE = 0.1  # between two looks at what is not there yet


class Refused(RuntimeError):
    """What the program answers instead of a result; `kind` is its word."""

    def __init__(self, error):
        super().__init__(json.dumps(error))
        self.kind = error["error"]


class Marionette:
    """One session, whose scripts may do in the window all that its own do."""

    def __init__(self, port, patience):
        """`patience`: seconds to wait, for each thing that is waited for."""
        self._patience = patience
        self._socket = socket.create_connection(("127.0.0.1", port), patience)
        self._input = self._socket.makefile("rb")
        self._last = 0
        self._read()
        self.command("WebDriver:NewSession")
        self.command("WebDriver:SetTimeouts", script=patience * 1000)
        self.command("Marionette:SetContext", value="chrome")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._input.close()
        self._socket.close()

    def _read(self):
        digits = b""
        while (octet := self._input.read(1)).isdigit():
            digits += octet
        if octet != b":":
            raise ConnectionError("Marionette hung up")
        return json.loads(self._input.read(int(digits)))

    def command(self, name, **parameters):
        """The command's result."""
        self._last += 1
        message = json.dumps([0, self._last, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._read()
        if error:
            raise Refused(error)
        return result

    def run(self, script, *arguments):
        """What the body of a function returns, in the main window."""
        return self._execute("WebDriver:ExecuteScript", script, arguments)

    def finish(self, script, *arguments):
        """The same of an asynchronous function, when it is done."""
        answer = self._execute(
            "WebDriver:ExecuteAsyncScript",
            "const done = arguments[arguments.length - 1];"
            f"(async (...arguments) => {{ {script} }})(...arguments)"
            ".then(value => done({value}), error => done({error: `${error}`}))",
            arguments)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("value")

    def _execute(self, command, script, arguments):
        return self.command(command, script=script, args=arguments,
                            sandbox="system", newSandbox=True)["value"]

    def wait_for(self, script, *arguments):
        """What `run` returns once that is true. Parts of a window that are
        not there yet are waited for, too."""
        deadline = time.monotonic() + self._patience
        while True:
            failure = None
            try:
                if found := self.run(script, *arguments):
                    return found
            except Refused as refusal:
                if refusal.kind == "unexpected alert open":
                    raise
                failure = refusal
            if time.monotonic() > deadline:
                raise TimeoutError(f"never true: {script}") from failure
            time.sleep(PAUSE)
