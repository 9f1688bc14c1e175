#!/usr/bin/python3
"""Holds the tree to the map: lower levels never include higher ones.

Prints one line for each fault and exits with 1 if there is any. Checks, over
auth/, config/ and proxy/:
  - every "quoted" include names a file of a folder that this one may see;
  - the system headers of libraries stay where their library belongs;
  - a .c file includes its own header first;
  - a header's guard is named after it.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# Lowest first. A folder sees itself and what stands before it, besides auth
# and config, which see nothing but themselves.
LEVELS = ["proxy/base", "proxy/imap", "proxy/net", "proxy/backend",
          "proxy/state", "proxy/session", "proxy/ops", "proxy"]
ALONE = ["auth", "config"]

# Which folders may include a library's or the network's headers.
NETWORK = ["proxy/net", "proxy/backend", "proxy/state", "proxy/session",
           "proxy/ops", "proxy"]
LIBRARIES = {
    r"uv\.h": NETWORK,
    r"sqlite3\.h": ["proxy/state"],
    r"jansson\.h": ["config", "proxy"],
    r"microhttpd\.h": ["proxy/ops"],
    r"openssl/": ["auth"] + LEVELS,
    r"openssl/ssl\.h": NETWORK,
    r"(sys/socket|sys/epoll|netinet/.*|netdb|arpa/inet)\.h":
        ["config", "proxy/base"] + NETWORK,
    r"pthread\.h": ["proxy/base"] + NETWORK,
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def folder_of(path):
    return os.path.dirname(path)


def resolve(folder, name):
    """The path in the tree that a quoted include names, or None."""
    roots = [""] if folder in ALONE else ["proxy", ""]
    for root in roots:
        path = os.path.join(root, name)
        if os.path.isfile(os.path.join(ROOT, path)):
            return path
    return None


def may_see(folder, other):
    if folder in ALONE:
        return other == folder
    if other in ALONE:
        return True
    return LEVELS.index(other) <= LEVELS.index(folder)


def faults_of_quoted(path, name):
    folder = folder_of(path)
    found = resolve(folder, name)
    if found is None:
        yield f'"{name}" is no file of auth/, config/ or proxy/'
    elif folder_of(found) not in LEVELS + ALONE:
        yield f'"{name}" lies in a folder that the map does not have'
    elif not may_see(folder, folder_of(found)):
        yield f'"{name}" is above {folder}/ or beside it'


def faults_of_system(path, name):
    folder = folder_of(path)
    for pattern, folders in LIBRARIES.items():
        if re.match(pattern, name) and folder not in folders:
            yield f"<{name}> has no place in {folder}/"
            return


def faults_of_order(path, includes):
    own = path[:-2] + ".h"
    if not path.endswith(".c") or not os.path.isfile(
            os.path.join(ROOT, own)):
        return
    kind, name = includes[0] if includes else ("", "")
    if kind != '"' or resolve(folder_of(path), name) != own:
        yield "does not include its own header first"


def faults_of_guard(path, text):
    if not path.endswith(".h"):
        return
    parts = path[:-2].split("/")
    guard = "_".join(parts[-2:]).upper() + "_H"
    if not re.search(rf"^#ifndef {guard}\n#define {guard}$", text, re.M):
        yield f"has no guard {guard}"


def faults_of(path):
    if folder_of(path) not in LEVELS + ALONE:
        yield "lies in a folder that the map does not have"
        return
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    includes = INCLUDE.findall(text)
    for kind, name in includes:
        check = faults_of_quoted if kind == '"' else faults_of_system
        yield from check(path, name)
    yield from faults_of_order(path, includes)
    yield from faults_of_guard(path, text)


def sources():
    for top in ALONE + ["proxy"]:
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def main():
    faults = [f"{path}: {fault}"
              for path in sorted(sources()) for fault in faults_of(path)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
