"""Clients that do as a script says: imaplib, imapflow, imapfilter."""

import imaplib
import json
import os
import re
import ssl

from .visit import NAME, TIMEOUT, run


def python_imaplib(visit):
    """Python's own client, in this process."""
    context = ssl.create_default_context(cafile=visit.ca)
    if visit.starttls:
        client = imaplib.IMAP4("localhost", visit.port, TIMEOUT)
        client.starttls(context)
    else:
        client = imaplib.IMAP4_SSL("localhost", visit.port,
                                   ssl_context=context, timeout=TIMEOUT)
    with client:
        client.login(visit.user, visit.password)
        seen = {"list": str(_okay(client.list())),
                "select": int(_okay(client.select())[0]),
                "search": _okay(client.search(None, "SUBJECT",
                                              visit.wanted))[0].split()}
        found = _okay(client.fetch(seen["search"][0], "BODY[]"))
        seen["fetch"] = found[0][1].decode()
        seen["append"] = _okay(client.append("INBOX", None, None,
                                             visit.message.encode()))
    return seen


def _okay(answer):
    status, lines = answer
    assert status == "OK", answer
    return lines


def imapflow(visit):
    """The npm package, by a script of ours."""
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), *[
        os.pardir] * 4))
    modules = os.path.join(
        os.environ.get("GATEPOST_IMAPFLOW") or
        os.path.join(root, "build", "imapflow"), "node_modules")
    assert os.path.isdir(modules), (
        f"{modules} is not there: tests/run installs it")
    wish = dict(vars(visit), name=NAME)
    return json.loads(run(
        "node", os.path.join(root, "tests", "integration", "imapflow",
                             "visit.js"),
        input=json.dumps(wish).encode(),
        env=dict(os.environ, NODE_PATH=modules)))


_IMAPFILTER = """\
options.timeout = 20
options.certificates = false
account = IMAP {{server = 'localhost', port = {port}, username = '{user}',
    password = '{password}'{ssl}}}
for _, name in ipairs((account:list_all(''))) do print('list', name) end
print('select', (account.INBOX:check_status()))
for _, message in ipairs(account.INBOX:contain_subject('{wanted}')) do
  mailbox, uid = table.unpack(message)
  print('search', uid)
  print('fetch', mailbox[uid]:fetch_message())
end
message = io.open('{folder}/message', 'rb'):read('*a')
print('append', account.INBOX:append_message(message))
"""


def imapfilter(visit):
    """A Lua script; -t is its trust store."""
    visit.write("message", visit.message)
    script = visit.write("imapfilter.lua", _IMAPFILTER.format(
        ssl="" if visit.starttls else ", ssl = 'auto'", **vars(visit)))
    said = run("imapfilter", "-c", script, "-t", visit.ca,
               env=dict(os.environ, IMAPFILTER_HOME=visit.folder))

    def told(operation):
        return re.findall(f"^{operation}\t(.*)", said, re.M)

    return {"list": " ".join(told("list")), "select": int(told("select")[0]),
            "search": told("search"), "fetch": said,
            "append": told("append") == ["true"]}
