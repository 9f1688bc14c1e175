"""Servers that cannot be had here, as they speak at the login by what is
published of them. Each entry names what it was written from; what nobody has
published is kept to the least that IMAP4rev1 asks for, and the entry says so.
Addresses, names and the numbers of sessions are ours.

Mac OS X Server has no entry: its mail service was Cyrus up to 10.5 and Dovecot
from 10.6 on ("Mac OS X Server Mail Service Administration", Apple, for 10.3
and for 10.6), and both are tested as themselves."""

import base64
import dataclasses

from .scripts import read_arguments

NMAP = "nmap-service-probes of nmap 7.93 (greetings seen in the wild)"
ISSUE = "https://github.com/{}/issues/{}".format

USER, PASSWORD, TOKEN = "alice@example.org", "secret-alice", "ya29.token"

# How the login may come to the server.
LOGIN, PLAIN, XOAUTH2 = b"LOGIN", b"PLAIN", b"XOAUTH2"

# What the client hears.
FAILED = b"NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
UNAVAILABLE = b"NO [UNAVAILABLE]"


@dataclasses.dataclass
class Dialogue:
    """One server at one login. `%t` in what it says is the login's tag."""

    server: str
    habit: str             # what is odd about it, as a claim
    sources: tuple
    greeting: bytes
    before: bytes = b"IMAP4rev1"  # what it can before the login
    secured: bytes = b""   # the same after STARTTLS, where that is needed
    tls: str = "implicit"
    done: bytes = b"OK CAPABILITY completed."
    plus: bytes = b"+ \r\n"  # how it asks for a message
    way: bytes = PLAIN     # how the login shall come
    by_token: bool = False  # the client brings a token
    challenge: bytes = b""  # what it says to a token before it refuses
    answer: bytes = b"%t OK LOGIN completed.\r\n"
    after: bytes = b""     # what it can after the login, when asked
    heard: bytes = b"OK "  # how the client's answer begins, or all of it
    later: tuple = ()      # (command, what it says) once logged in
    user: str = USER

    @property
    def name(self):
        """The name of its test."""
        return f"{self.server}-{self.habit}".replace(" ", "-")


_EXCHANGE_GREETING = b"* OK The Microsoft Exchange IMAP4 service is ready.\r\n"
_EXCHANGE = (b"IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=NTLM AUTH=GSSAPI UIDPLUS MOVE "
             b"ID CHILDREN IDLE NAMESPACE LITERAL+")
_365_GREETING = (b"* OK The Microsoft Exchange IMAP4 service is ready. "
                 b"[RgBSADIAUAAyAC4AZQB4AGEAbQBwAGwAZQA=]\r\n")
_365 = (b"IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT "
        b"CHILDREN IDLE NAMESPACE LITERAL+")
_365_AFTER = (b"IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE "
              b"ID UNSELECT CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION "
              b"BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+")
_365_TOKENS = (b"IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS "
               b"MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+")
_365_TOKENS_GREETING = (
    b"* OK Microsoft Exchange IMAP4 service ready. "
    b"00000000-0000-0000-0000-000000000000 "
    b"(tcpproxy/15.21.0406.000 BACKENDAUTHENTICATE) [ZQB4AGEAbQBwAGwAZQA=]"
    b"\r\n")

EXCHANGE = [
    Dialogue(
        "Exchange 2010", "offers no password before STARTTLS",
        ("IMAP with Exchange, https://cweiske.de/tagebuch/"
         "IMAP%20with%20Exchange.htm",),
        _EXCHANGE_GREETING, tls="starttls",
        before=b"IMAP4 IMAP4rev1 AUTH=NTLM AUTH=GSSAPI LOGINDISABLED STARTTLS "
               b"IDLE NAMESPACE LITERAL+",
        secured=b"IMAP4 IMAP4rev1 AUTH=NTLM AUTH=GSSAPI AUTH=PLAIN IDLE "
                b"NAMESPACE LITERAL+",
        way=LOGIN, after=_EXCHANGE),
    Dialogue(
        "Exchange 2013", "refuses without a code",
        ("IMAP NO Login Failed, " + ISSUE("jstedfast/MailKit", 483),),
        _EXCHANGE_GREETING, before=_EXCHANGE, way=LOGIN,
        answer=b"%t NO LOGIN failed.\r\n", heard=FAILED),
    Dialogue(
        "Exchange 2013", "asks for a message by a bare plus",
        ("IMAP NO Login Failed, " + ISSUE("jstedfast/MailKit", 483),
         "LOGINDISABLED beside AUTH=PLAIN is our own addition"),
        _EXCHANGE_GREETING, before=_EXCHANGE + b" LOGINDISABLED",
        plus=b"+\r\n", answer=b"%t OK AUTHENTICATE completed.\r\n",
        after=_EXCHANGE),
    Dialogue(
        "Exchange 2016", "takes no login in clear",
        ("Logging in is disabled on this server, " +
         ISSUE("mscdex/node-imap", 685),),
        _EXCHANGE_GREETING, tls="none",
        before=b"IMAP4 IMAP4rev1 LOGINDISABLED STARTTLS UIDPLUS MOVE ID "
               b"CHILDREN IDLE NAMESPACE LITERAL+",
        way=b"", heard=UNAVAILABLE),
    Dialogue(
        "Exchange 2003", "greets in Latin-1",
        (NMAP,),
        b"* OK Der Microsoft Exchange Server 2003 IMAP4rev1-Server, Version "
        b"6.5.7638.1 (ex.example.org), steht zur Verf\xfcgung.\r\n",
        before=b"IMAP4 IMAP4rev1 IDLE LITERAL+ AUTH=NTLM",
        way=LOGIN, after=b"IMAP4 IMAP4rev1 IDLE LITERAL+ AUTH=NTLM"),
    Dialogue(
        "Exchange", "greets with BYE when it is too busy",
        (NMAP, "Unexpected token in IMAP greeting: [atom: BYE], " +
         ISSUE("jstedfast/MailKit", 262)),
        b"* BYE Connection is closed. 14\r\n", way=b"", heard=UNAVAILABLE),
    Dialogue(
        "Exchange 2013", "is unavailable after the login",
        ("Problem Spinning icon after adding new imap account, " +
         ISSUE("owncloud-archive/mail", 721),),
        _EXCHANGE_GREETING, before=_EXCHANGE, way=LOGIN, after=_EXCHANGE,
        later=((b"STATUS INBOX (MESSAGES)",
                b"%t NO Server Unavailable. 15\r\n"),
               (b"NOOP", b"* BYE Connection closed. 14\r\n"))),
    Dialogue(
        "Exchange", "takes the name of an administrator with a user's",
        ("Migrate other types of IMAP mailboxes to Office 365 (Microsoft), "
         "Format mailbox admin credentials for different IMAP servers",),
        _EXCHANGE_GREETING, before=_EXCHANGE, way=LOGIN, after=_EXCHANGE,
        user="EXAMPLE/mailadmin/alice"),
    Dialogue(
        "Exchange", "takes a domain with a backslash",
        ("Q189326: XADM: Verifying Basic IMAP Connectivity Using Telnet "
         "(Microsoft), for the domain; the backslash is Windows' own form",),
        _EXCHANGE_GREETING, before=_EXCHANGE, way=LOGIN, after=_EXCHANGE,
        user="EXAMPLE\\alice"),
    Dialogue(
        "Microsoft 365", "lists more after the login",
        ("User is authenticated but not connected, " +
         ISSUE("mscdex/node-imap", 523),
         "[Microsoft365] Can't connect any longer, " +
         ISSUE("jstedfast/MailKit", 1494)),
        _365_GREETING, before=_365,
        answer=b"%t OK AUTHENTICATE completed.\r\n", after=_365_AFTER,
        later=((b"SELECT INBOX",
                b"%t BAD User is authenticated but not connected.\r\n"),
               (b"NOOP", b"* BYE Connection closed. 14\r\n"))),
    Dialogue(
        "Microsoft 365", "refuses without a code",
        ("ImapProtocolException hides the real error message from server, " +
         ISSUE("jstedfast/MailKit", 849),),
        _365_GREETING, before=_365,
        answer=b"%t NO AUTHENTICATE failed.\r\n", heard=FAILED),
    Dialogue(
        "Microsoft 365", "takes tokens alone",
        ("O365 Failures, " + ISSUE("jstedfast/MailKit", 2016),),
        _365_TOKENS_GREETING, before=_365_TOKENS, way=XOAUTH2, by_token=True,
        answer=b"%t OK AUTHENTICATE completed.\r\n",
        after=_365_AFTER + b" ENABLE IMAP4rev2"),
    Dialogue(
        "Microsoft 365", "takes no password any more",
        ("O365 Failures, " + ISSUE("jstedfast/MailKit", 2016),),
        _365_TOKENS_GREETING, before=_365_TOKENS, way=b"", heard=UNAVAILABLE),
    Dialogue(
        "Microsoft 365", "refuses a token at once",
        ("IMAP + XOAUTH2 authentication support for Office365/Exchange "
         "Online, " +
         ISSUE("MicrosoftDocs/office-developer-exchange-docs", 87),),
        _365_GREETING, before=_365, way=XOAUTH2, by_token=True,
        answer=b"%t NO AUTHENTICATE failed.\r\n", heard=FAILED),
]

_GMAIL_GREETING = b"* OK Gimap ready for requests from 192.0.2.1 a1b2\r\n"
_GMAIL = (b"IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN "
          b"X-GM-EXT-1 XYZZY SASL-IR AUTH=XOAUTH2 AUTH=PLAIN "
          b"AUTH=PLAIN-CLIENTTOKEN AUTH=OAUTHBEARER")
_GMAIL_AFTER = (b"IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN "
                b"X-GM-EXT-1 UIDPLUS COMPRESS=DEFLATE ENABLE MOVE CONDSTORE "
                b"ESEARCH UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- "
                b"SPECIAL-USE APPENDLIMIT=35651584")
_GMAIL_DONE = b"OK Thats all she wrote! a1b2"
_GMAIL_LISTS = (
    "Advertise extended capabilities pre-auth, "
    "https://github.com/zone-eu/wildduck/pull/943",
    "Implement OAUTHBEARER, " + ISSUE("emersion/go-sasl", 6))
_GMAIL_PROTOCOL = ("OAuth 2.0 Mechanism (Google), https://developers.google."
                   "com/workspace/gmail/imap/xoauth2-protocol")

GMAIL = [
    Dialogue(
        "Gmail", "lists what it can untagged before its OK",
        (*_GMAIL_LISTS, "imapsync issues copying from Gmail to Mailo, " +
         ISSUE("imapsync/imapsync", 338), "standalone CAPABILITY response, " +
         ISSUE("modern-email/defects", 18)),
        _GMAIL_GREETING, before=_GMAIL, done=_GMAIL_DONE,
        answer=b"* CAPABILITY " + _GMAIL_AFTER +
               b"\r\n%t OK alice@example.org authenticated (Success)\r\n",
        after=_GMAIL_AFTER),
    Dialogue(
        "Gmail", "refuses a password",
        (*_GMAIL_LISTS, "Bizarre login error, " +
         ISSUE("AyatanaIndicators/ayatana-webmail", 30)),
        _GMAIL_GREETING, before=_GMAIL, done=_GMAIL_DONE,
        answer=b"%t NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"
               b"\r\n", heard=FAILED),
    Dialogue(
        "Gmail", "sends the user to a browser",
        (*_GMAIL_LISTS, "Web login required error for gmail, " +
         ISSUE("smiley22/S22.Imap", 116), "Please log in via your web browser "
         "on sync jobs with gmail, " +
         ISSUE("mailcow/mailcow-dockerized", 4277)),
        _GMAIL_GREETING, before=_GMAIL, done=_GMAIL_DONE,
        answer=b"* NO [WEBALERT https://accounts.example/continue?sarp=1] "
               b"Web login required.\r\n%t NO [ALERT] Please log in via your "
               b"web browser: https://support.example/78754 (Failure)\r\n",
        heard=b"NO [ALERT] Please log in via your web browser: "
              b"https://support.example/78754 (Failure)\r\n"),
    Dialogue(
        "Gmail", "wants another password",
        (*_GMAIL_LISTS, "Authentication Failed, " +
         ISSUE("andreiaugustin/gmail_extractor", 4)),
        _GMAIL_GREETING, before=_GMAIL, done=_GMAIL_DONE,
        answer=b"%t NO [ALERT] Application-specific password required: "
               b"https://support.example/185833 (Failure)\r\n",
        heard=b"NO [ALERT] Application-specific password required: "
              b"https://support.example/185833 (Failure)\r\n"),
    Dialogue(
        "Gmail", "takes a token",
        (*_GMAIL_LISTS, _GMAIL_PROTOCOL),
        _GMAIL_GREETING, before=_GMAIL, done=_GMAIL_DONE, way=XOAUTH2,
        by_token=True,
        answer=b"* CAPABILITY " + _GMAIL_AFTER +
               b"\r\n%t OK alice@example.org authenticated (Success)\r\n",
        after=_GMAIL_AFTER),
    Dialogue(
        "Gmail", "says why a token is bad before it refuses it",
        (*_GMAIL_LISTS, _GMAIL_PROTOCOL),
        _GMAIL_GREETING, before=_GMAIL, done=_GMAIL_DONE, way=XOAUTH2,
        by_token=True,
        challenge=base64.b64encode(
            b'{"status":"400","schemes":"Bearer",'
            b'"scope":"https://mail.google.com/"}'),
        answer=b"%t NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"
               b"\r\n", heard=FAILED),
]

_ICEWARP_SOURCES = (
    NMAP, "the list of capabilities: a server that greets in the same form "
    "under another name, Intermentent Authentication Issues, " +
    ISSUE("RainLoop/rainloop-webmail", 1244))

ICEWARP = [
    Dialogue(
        "IceWarp", "greets with a date and no list",
        _ICEWARP_SOURCES,
        b"* OK IceWarp 12.0.4.0 RHEL7 x64 IMAP4rev1 Tue, 22 May 2018 14:06:46 "
        b"+0000\r\n", done=b"OK CAPABILITY Completed",
        before=b"IMAP4rev1 AUTH=CRAM-MD5 AUTH=PLAIN AUTH=LOGIN AUTH=DIGEST-MD5"
               b" SORT THREAD=ORDEREDSUBJECT UIDPLUS QUOTA ACL NAMESPACE "
               b"CHILDREN IDLE UNSELECT STARTTLS",
        way=LOGIN,
        after=b"IMAP4rev1 AUTH=CRAM-MD5 AUTH=PLAIN AUTH=LOGIN AUTH=DIGEST-MD5 "
              b"SORT THREAD=ORDEREDSUBJECT UIDPLUS QUOTA ACL NAMESPACE "
              b"CHILDREN IDLE UNSELECT STARTTLS"),
    Dialogue(
        "IceWarp", "shuts out an address with no greeting of IMAP",
        ("Unexpected Token error after IceWarp security updates, " +
         ISSUE("jstedfast/MailKit", 1073),),
        b" NO LOGOUT Intrusion prevention active for 192.0.2.1\r\n",
        way=b"", heard=UNAVAILABLE),
]

_CGATE_SOURCES = (
    NMAP, "imapCapability.pl, IMAP tools of Rick Sanders: its sample output "
    "names no server; we take it for CommuniGate's by LISTEXT and AUTH=MSN")
_CGATE = (b"IMAP4 IMAP4REV1 ACL NAMESPACE UIDPLUS IDLE LITERAL+ QUOTA ID "
          b"MULTIAPPEND LISTEXT CHILDREN BINARY LOGIN-REFERRALS UNSELECT "
          b"AUTH=LOGIN AUTH=PLAIN AUTH=CRAM-MD5 AUTH=DIGEST-MD5 AUTH=GSSAPI "
          b"AUTH=MSN AUTH=NTLM")
_CGATE_GREETING = b"* OK mail.example.org CommuniGate Pro IMAP Server 6.1.20 " \
                  b"ready\r\n"

COMMUNIGATE = [
    Dialogue(
        "CommuniGate Pro", "writes IMAP4REV1 and offers referrals",
        _CGATE_SOURCES, _CGATE_GREETING, before=_CGATE, way=LOGIN,
        done=b"OK completed", answer=b"%t OK completed\r\n", after=_CGATE),
    Dialogue(
        "CommuniGate Pro", "offers more after STARTTLS",
        _CGATE_SOURCES, b"* OK CommuniGate Pro IMAP Server ready\r\n",
        tls="starttls", before=_CGATE + b" STARTTLS", secured=_CGATE,
        way=LOGIN, done=b"OK completed", answer=b"%t OK completed\r\n",
        after=_CGATE),
    Dialogue(
        "CommuniGate Pro", "refers to another server",
        (*_CGATE_SOURCES, "the answer itself: RFC 2221, 4.1"),
        _CGATE_GREETING, before=_CGATE, way=LOGIN, done=b"OK completed",
        answer=b"%t NO [REFERRAL imap://alice;AUTH=*@other.example.org/] "
               b"Specified user is invalid on this server. Try "
               b"other.example.org.\r\n", heard=UNAVAILABLE),
]

FIRSTCLASS = [
    Dialogue(
        "FirstClass", "knows the LOGIN command alone",
        (NMAP, "About logging in, FirstClass 7.1 web help: clients of the "
         "IMAP4rev1 standard; no list of its capabilities is to be found, so "
         "that this is the least"),
        b"* OK FirstClass IMAP4rev1 server v9.106 at fc.example.org ready\r\n",
        way=LOGIN, after=b"IMAP4rev1"),
    Dialogue(
        "FirstClass", "refuses without a code",
        (NMAP, "the wording of the refusal is ours: none is to be found"),
        b"* OK FirstClass IMAP4rev1 server v9.106 at fc.example.org ready\r\n",
        way=LOGIN, answer=b"%t NO Invalid user ID or password\r\n",
        heard=FAILED),
]

_MIRAPOINT_SOURCES = (NMAP, "no list of its capabilities is to be found, so "
                      "that this is the least")

MIRAPOINT = [
    Dialogue(
        "Mirapoint", "greets with its name",
        _MIRAPOINT_SOURCES,
        b"* OK mail.example.org Mirapoint IMAP4 1.0 server ready\r\n",
        way=LOGIN, after=b"IMAP4rev1"),
    Dialogue(
        "Mirapoint", "greets as a proxy of its own",
        ("greetings in the comments of a client library, WelcomePattern of "
         "Mirapoint IMAP4PROXY", _MIRAPOINT_SOURCES[1]),
        b"* OK Mirapoint IMAP4PROXY 1.0 server ready\r\n",
        way=LOGIN, after=b"IMAP4rev1"),
    Dialogue(
        "Mirapoint", "takes the name of an administrator with a user's",
        ("Migrate other types of IMAP mailboxes to Office 365 (Microsoft), "
         "Format mailbox admin credentials for different IMAP servers",
         _MIRAPOINT_SOURCES[1]),
        b"* OK mail.example.org Mirapoint IMAP4 1.0 server ready\r\n",
        way=LOGIN, after=b"IMAP4rev1", user="#alice@example.org#mailadmin#"),
]

DIALOGUES = [*EXCHANGE, *GMAIL, *ICEWARP, *COMMUNIGATE, *FIRSTCLASS,
             *MIRAPOINT]


class Scripted:
    """A script for FakeBackend: the server of a dialogue. It notes in the
    conversation by which `way` the login came, and what it said."""

    def __init__(self, dialogue, context):
        self.dialogue, self.context = dialogue, context
        self.capabilities = dialogue.before

    def __call__(self, conversation):
        conversation.way, conversation.token = None, None
        self.capabilities = self.dialogue.before
        conversation.send(self.dialogue.greeting)
        if not self.dialogue.greeting.startswith(b"* OK "):
            return
        logged_in = False
        while not logged_in:
            logged_in = self._before_login(conversation,
                                           conversation.read_line())
        self._after_login(conversation)

    def _list(self, conversation, tag, capabilities):
        conversation.send(b"* CAPABILITY %s\r\n%s %s\r\n" % (
            capabilities, tag, self.dialogue.done))

    def _before_login(self, conversation, line):
        tag, _, text = line.rstrip(b"\r\n").partition(b" ")
        name, _, rest = text.partition(b" ")
        if name == b"CAPABILITY":
            self._list(conversation, tag, self.capabilities)
        elif name == b"STARTTLS":
            assert b"STARTTLS" in self.capabilities
            conversation.send(tag + b" OK Begin TLS negotiation now.\r\n")
            conversation.start_tls(self.context)
            self.capabilities = self.dialogue.secured
        elif name == b"LOGIN":
            assert b"LOGINDISABLED" not in self.capabilities
            conversation.way = name
            conversation.user, conversation.password = read_arguments(
                conversation, rest, 2)
            return self._answer(conversation, tag)
        elif name == b"AUTHENTICATE":
            self._take_message(conversation, *rest.split(b" "))
            return self._answer(conversation, tag)
        else:
            raise AssertionError(f"not a command of a login: {line}")
        return False

    def _take_message(self, conversation, mechanism, initial=None):
        offered = self.capabilities.split()
        assert b"AUTH=" + mechanism in offered
        assert initial is None or b"SASL-IR" in offered
        if initial is None:
            conversation.send(self.dialogue.plus)
            initial = conversation.read_line().rstrip(b"\r\n")
        conversation.way = mechanism
        message = base64.b64decode(initial, validate=True)
        if mechanism == PLAIN:
            _, conversation.user, conversation.password = message.split(b"\0")
        else:
            conversation.token = message
        if self.dialogue.challenge:
            conversation.send(b"+ " + self.dialogue.challenge + b"\r\n")
            assert conversation.read_line() == b"\r\n"

    def _answer(self, conversation, tag):
        conversation.send(self.dialogue.answer.replace(b"%t", tag))
        return b"%t OK" in self.dialogue.answer

    def _after_login(self, conversation):
        later = dict(self.dialogue.later)
        while True:
            line = conversation.read_line()
            tag, _, text = line.rstrip(b"\r\n").partition(b" ")
            if text == b"CAPABILITY":
                self._list(conversation, tag, self.dialogue.after)
            else:
                says = later.get(text, b"%t OK done\r\n")
                conversation.send(says.replace(b"%t", tag))
                if says.startswith(b"* BYE"):
                    return
