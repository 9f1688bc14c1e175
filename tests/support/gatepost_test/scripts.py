"""Scripts for FakeBackend: a small IMAP server with knobs, and what may
happen after its login."""

import base64


def answer_noop(conversation):
    """After login: answers every command with OK, until LOGOUT."""
    while True:
        line = conversation.read_line()
        tag, _, rest = line.partition(b" ")
        if rest.upper().startswith(b"LOGOUT"):
            conversation.send(b"* BYE bye\r\n" + tag + b" OK done\r\n")
            return
        conversation.send(tag + b" OK " + rest.strip()[:60] + b" done\r\n")


def echo(conversation):
    """After login: sends back what it gets, byte for byte."""
    while True:
        octets = conversation.read_some()
        if not octets:
            return
        conversation.send(octets)


def sink(conversation):
    """After login: reads to the end and says nothing."""
    conversation.read_to_end()


class ImapServer:
    """A script: greeting, STARTTLS, login, then `after(conversation)`.

    accept(user, password) says who may in; `reply` is the tagged answer
    without its tag; lines in `untagged` go out before it. `capability` is
    announced in the greeting unless `announce` is off. A `tls` context makes
    STARTTLS work."""

    def __init__(self, capability=b"IMAP4rev1 SASL-IR AUTH=PLAIN",
                 greeting=None, announce=True, tls=None,
                 accept=lambda user, password: True,
                 reply=b"OK [CAPABILITY IMAP4rev1 IDLE X-BACKEND] welcome",
                 refusal=b"NO [AUTHENTICATIONFAILED] backend says no",
                 untagged=b"", after=answer_noop, name=b"backend"):
        self.capability = capability
        code = b"[CAPABILITY " + capability + b"] " if announce else b""
        self.greeting = (greeting if greeting is not None
                         else b"* OK " + code + name + b" ready\r\n")
        self.tls = tls
        self.accept = accept
        self.reply = reply
        self.refusal = refusal
        self.untagged = untagged
        self.after = after

    def __call__(self, conversation):
        conversation.send(self.greeting)
        if self.log_in(conversation):
            self.after(conversation)

    def log_in(self, conversation):
        """Serves commands until a login (True) or a LOGOUT (False)."""
        while True:
            tag, name, rest = self._command(conversation)
            if name == b"CAPABILITY":
                conversation.send(b"* CAPABILITY " + self.capability +
                                  b"\r\n" + tag + b" OK done\r\n")
            elif name == b"STARTTLS" and self.tls is not None:
                conversation.send(tag + b" OK begin\r\n")
                conversation.start_tls(self.tls)
            elif name == b"LOGOUT":
                conversation.send(b"* BYE bye\r\n" + tag + b" OK done\r\n")
                return False
            elif name in (b"ID", b"NOOP"):
                conversation.send(tag + b" OK done\r\n")
            elif name in (b"LOGIN", b"AUTHENTICATE"):
                if self._try_login(conversation, tag, name, rest):
                    return True
            else:
                conversation.send(tag + b" BAD unknown\r\n")

    def _command(self, conversation):
        line = conversation.read_line().rstrip(b"\r\n")
        tag, _, text = line.partition(b" ")
        name, _, rest = text.partition(b" ")
        return tag, name.upper(), rest

    def _try_login(self, conversation, tag, name, rest):
        if name == b"LOGIN":
            authzid = b""
            user, password = read_arguments(conversation, rest, 2)
        else:
            authzid, user, password = self._plain(conversation, rest)
        conversation.authzid = authzid
        conversation.user, conversation.password = user, password
        if not self.accept(user, password):
            conversation.send(tag + b" " + self.refusal + b"\r\n")
            return False
        conversation.send(self.untagged + tag + b" " + self.reply + b"\r\n")
        return self.reply.startswith(b"OK")

    def _plain(self, conversation, rest):
        mechanism, _, initial = rest.partition(b" ")
        assert mechanism.upper() == b"PLAIN", rest
        if not initial:
            conversation.send(b"+ \r\n")
            initial = conversation.read_line().rstrip(b"\r\n")
        decoded = base64.b64decode(initial, validate=True)
        authzid, user, password = decoded.split(b"\0")
        return authzid, user, password


def read_arguments(conversation, rest, count):
    """The astrings of one command, literals asked for where needed."""
    arguments = []
    while len(arguments) < count:
        rest = rest.lstrip(b" ")
        if rest.startswith(b'"'):
            value, index = bytearray(), 1
            while rest[index:index + 1] != b'"':
                index += rest[index:index + 1] == b"\\"
                value += rest[index:index + 1]
                index += 1
            arguments.append(bytes(value))
            rest = rest[index + 1:]
        elif rest.startswith(b"{"):
            size = rest[1:rest.index(b"}")]
            if not size.endswith(b"+"):
                conversation.send(b"+ go on\r\n")
            arguments.append(conversation.read_exact(int(size.rstrip(b"+"))))
            rest = conversation.read_line().rstrip(b"\r\n")
        else:
            value, _, rest = rest.partition(b" ")
            assert value, "an argument is missing"
            arguments.append(value)
    return arguments


def fixed(*pieces):
    """A script that sends bytes, reads a line for every None, and then
    waits for the other side to leave."""
    def script(conversation):
        for piece in pieces:
            if piece is None:
                conversation.read_line()
            else:
                conversation.send(piece)
        conversation.stall()
    return script
