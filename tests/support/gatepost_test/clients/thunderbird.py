"""Thunderbird in a display of its own, with an account in its profile; what
it shows is read out of its window."""

import contextlib
import json
import os
import signal
import subprocess
import time

from .marionette import PAUSE, Marionette
from .visit import run, text_of

# Not by Debian's wrapper, which looks after profiles of other days.
PROGRAM = "/usr/lib/thunderbird/thunderbird"
PATIENCE = 100  # seconds; a start takes three of a core

_ACCOUNT = {
    "mail.accountmanager.accounts": "account1",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.identity.id1.fullName": "Client",
    "mail.server.server1.type": "imap",
    "mail.server.server1.name": "front",
    "mail.server.server1.hostname": "localhost",
    "mail.server.server1.authMethod": 3,  # a password
    "mail.server.server1.using_subscription": False,
    "mail.server.server1.delete_model": 2,  # creates no trash
    "mail.server.server1.check_new_mail": False,
    "mail.server.server1.login_at_startup": False,
}
# No questions on a first start, and nothing from outside: every other
# connection would go through a proxy that is not there.
_QUIET = {
    "mail.provider.enabled": False,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mailnews.start_page.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "services.settings.server": "",
    "marionette.port": 0,  # any; it tells which
}

_STORE_PASSWORD = """
const login = Cc["@mozilla.org/login-manager/loginInfo;1"]
  .createInstance(Ci.nsILoginInfo);
login.init("imap://localhost", null, "imap://localhost", ...arguments, "", "");
await Services.logins.addLoginAsync(login);
"""

# What every script below begins with: the view of three panes, the account.
_THREE_PANES = """
const panes = document.getElementById("tabmail")?.currentAbout3Pane;
if (panes?.document.readyState != "complete") return null;
const {incomingServer: server} = MailServices.accounts.accounts[0];
const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
"""

_OPEN_INBOX = """
server.getNewMessages(server.rootFolder, window.msgWindow, null);
panes.displayFolder(inbox.URI);
return true;
"""

_FOLDERS = """
const others = server.rootFolder.descendants.filter(one => one != inbox);
const rows = [...panes.folderTree.rows].map(row => row.innerText).join(" ");
return others.length > 0 && others.every(one => rows.includes(one.name)) &&
  rows;
"""

_SELECT = """
const view = panes.gDBView;
for (let row = 0; row < view?.rowCount; row++) {
  if (view.cellTextForColumn(row, "subjectCol") == arguments[0]) {
    panes.threadTree.selectedIndex = row;
    return inbox.getTotalMessages(false);
  }
}
"""

_READ = """
const {innerText: listed} = panes.threadTree.getRowAtIndex(
  panes.threadTree.selectedIndex);
const message = panes.messageBrowser.contentWindow;
const {innerText: subject} = message.document.getElementById(
  "expandedsubjectBox");
const {innerText: body} =
  message.getMessagePaneBrowser().contentDocument.body;
const shown = listed.includes(arguments[0]) && subject.includes(arguments[0]);
return shown && body.trim() && [listed, subject, body].join("\\n");
"""

_APPEND = """
const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
file.initWithPath(arguments[0]);
return await new Promise(resolve => {
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
    onStopCopy: resolve,
  };
  MailServices.copy.copyFileMessage(
    file, inbox, null, false, 0, "", listener, window.msgWindow);
});
"""


def thunderbird(visit):
    """Opens the inbox as one would by hand, and reads a message; saves one
    there as it would a draft."""
    profile = _make_profile(visit)
    with _display(visit) as display, \
            _started(visit, profile, display) as program:
        with Marionette(_port_of(program, profile), PATIENCE) as window:
            return _look_around(window, visit)


def _look_around(window, visit):
    def wait_for(script, *arguments):
        return window.wait_for(_THREE_PANES + script, *arguments)

    window.finish(_STORE_PASSWORD, visit.user, visit.password)
    wait_for(_OPEN_INBOX)
    seen = {"list": wait_for(_FOLDERS),
            "select": wait_for(_SELECT, visit.wanted),
            "fetch": wait_for(_READ, visit.wanted)}
    status = window.finish(_THREE_PANES + _APPEND,
                           visit.write("message", visit.message))
    return {**seen, "append": status == 0}


def _make_profile(visit):
    """A profile that knows the account, and trusts the visit's authority."""
    profile = os.path.join(visit.folder, "profile")
    os.mkdir(profile)
    run("certutil", "-N", "-d", f"sql:{profile}", "--empty-password")
    run("certutil", "-A", "-d", f"sql:{profile}", "-n", "authority",
        "-t", "C,,", "-i", visit.ca)
    preferences = {
        **_QUIET, **_ACCOUNT,
        "mail.identity.id1.useremail": visit.user,
        "mail.server.server1.userName": visit.user,
        "mail.server.server1.port": visit.port,
        "mail.server.server1.socketType": 2 if visit.starttls else 3,
    }
    visit.write("profile/user.js", "".join(
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
        for name, value in preferences.items()))
    return profile


@contextlib.contextmanager
def _running(visit, ending, *command, env=None, **options):
    """The command, as a group of processes that ends by this signal. What it
    leaves behind lies in the visit's folder."""
    env = dict(os.environ, HOME=visit.folder, TMPDIR=visit.folder,
               XDG_RUNTIME_DIR=visit.folder, **(env or {}))
    with open(f"{visit.folder}/{os.path.basename(command[0])}.log",
              "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, env=env, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        process.wait(PATIENCE)


@contextlib.contextmanager
def _display(visit):
    """A virtual display, of a number that was free; it gives that back."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as number, _running(
            visit, signal.SIGTERM, "Xvfb", "-displayfd", str(writer),
            "-screen", "0", "1280x1024x24", "-nolisten", "tcp",
            pass_fds=[writer]):
        os.close(writer)
        line = number.readline()
        assert line, "Xvfb does not start"
        yield ":" + line.strip()


def _started(visit, profile, display):
    """Thunderbird; nobody needs what it would tidy up at an orderly end.
    It is not to look for a desktop, nor to start a bus as one would."""
    return _running(
        visit, signal.SIGKILL, PROGRAM, "--no-remote", "--profile", profile,
        "--marionette", "--remote-allow-system-access",
        env={"DISPLAY": display, "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1",
             "DBUS_SESSION_BUS_ADDRESS": "disabled:",
             "MOZ_CRASHREPORTER_DISABLE": "1"})


def _port_of(program, profile):
    """Where Marionette listens, which is written down when it does."""
    path = os.path.join(profile, "MarionetteActivePort")
    deadline = time.monotonic() + PATIENCE
    while not (os.path.exists(path) and (port := text_of(path))):
        if program.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("Thunderbird does not start")
        time.sleep(PAUSE)
    return int(port)
