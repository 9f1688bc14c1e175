#!/usr/bin/python3
"""Holds the documents to the tree: prints one line for each `file` that they
name and that is not there, and for each `function_name` of CONTRIBUTING.md
that no source has. Exits with 1 if there is any."""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
QUOTED = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[a-z][a-z0-9_.-]*(/[a-z0-9_.-]+)+/?|[a-z_]+\.(c|h|py|md)")
FUNCTION = re.compile(r"[a-z]{2,}(_[a-z]+)+")
# Made by running something, or found on another machine.
ELSEWHERE = ("build/", "deploy/.quickstart", "tls/")


def documents():
    for pattern in ("*.md", "*/*.md", "*/*/*.md"):
        for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
            if not os.path.relpath(path, ROOT).startswith("build/"):
                yield path


def sources():
    text = ""
    for folder in ("auth", "config", "proxy"):
        for path in glob.glob(os.path.join(ROOT, folder, "**", "*.[ch]"),
                              recursive=True):
            with open(path, encoding="utf-8") as file:
                text += file.read()
    return set(re.findall(r"\w+", text))


def is_there(name, document):
    """Files are named from the top, from proxy/, or from the document;
    modules without a suffix."""
    folders = (ROOT, os.path.join(ROOT, "proxy"), os.path.dirname(document))
    return any(os.path.exists(os.path.join(folder, name + suffix))
               for folder in folders for suffix in ("", ".h"))


def faults_of(document, words):
    with open(document, encoding="utf-8") as file:
        text = re.sub(r"^```.*?^```", "", file.read(), flags=re.M | re.S)
    for name in sorted(set(QUOTED.findall(text))):
        if FILE.fullmatch(name):
            if not name.startswith(ELSEWHERE) and not is_there(name, document):
                yield f"{name} is not there"
        elif (os.path.basename(document) == "CONTRIBUTING.md" and
              FUNCTION.fullmatch(name) and name not in words):
            yield f"no source has {name}"


def main():
    words = sources()
    faults = [f"{os.path.relpath(document, ROOT)}: {fault}"
              for document in documents()
              for fault in faults_of(document, words)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
