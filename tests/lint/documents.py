#!/usr/bin/python3
"""Holds the documents to the tree, and exits with 1 after printing a line for

- each `file` that a document names and that is not there,
- each `function_name` of CONTRIBUTING.md that no source has,
- each setting of the schemas and each event of the log that the manual page
  does not explain."""

import glob
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
QUOTED = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[a-z][a-z0-9_.-]*(/[a-z0-9_.-]+)+/?|[a-z_]+\.(c|h|py|md)")
FUNCTION = re.compile(r"[a-z]{2,}(_[a-z]+)+")
LOGGED = re.compile(r'\b(?:log_begin|begin_log|log_lookup|server_log_\w+)'
                    r'\([^;"]*"([a-z]+(?:-[a-z]+)*)"')
# Made by running something, or found on another machine.
ELSEWHERE = ("build/", "deploy/.quickstart", "tls/")


def documents():
    for pattern in ("*.md", "*/*.md", "*/*/*.md"):
        for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
            if not os.path.relpath(path, ROOT).startswith("build/"):
                yield path


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def sources():
    return "".join(read(path) for folder in ("auth", "config", "proxy")
                   for path in glob.glob(os.path.join(ROOT, folder, "**",
                                                      "*.[ch]"),
                                         recursive=True))


def is_there(name, document):
    """Files are named from the top, from proxy/, or from the document;
    modules without a suffix."""
    folders = (ROOT, os.path.join(ROOT, "proxy"), os.path.dirname(document))
    return any(os.path.exists(os.path.join(folder, name + suffix))
               for folder in folders for suffix in ("", ".h"))


def faults_of(document, words):
    text = re.sub(r"^```.*?^```", "", read(document), flags=re.M | re.S)
    for name in sorted(set(QUOTED.findall(text))):
        if FILE.fullmatch(name):
            if not name.startswith(ELSEWHERE) and not is_there(name, document):
                yield f"{name} is not there"
        elif (os.path.basename(document) == "CONTRIBUTING.md" and
              FUNCTION.fullmatch(name) and name not in words):
            yield f"no source has {name}"


def settings_of(schema):
    """The names of all properties, at any depth."""
    if isinstance(schema, list):
        return {name for part in schema for name in settings_of(part)}
    if not isinstance(schema, dict):
        return set()
    names = settings_of(list(schema.values()))
    properties = schema.get("properties", {})
    return names | set(properties if isinstance(properties, dict) else ())


def faults_of_manual(code):
    manual = set(re.findall(r"[\w$-]+", read("deploy/gatepost.8")))
    settings = settings_of([json.loads(read(f"config/{name}.schema.json"))
                            for name in ("gatepost", "routes")])
    for name in sorted(settings - manual):
        yield f"does not explain the setting {name}"
    for name in sorted(set(LOGGED.findall(code)) - manual):
        yield f"does not explain the log's {name}"


def main():
    code = sources()
    words = set(re.findall(r"\w+", code))
    faults = [f"{os.path.relpath(document, ROOT)}: {fault}"
              for document in documents()
              for fault in faults_of(document, words)]
    faults += [f"deploy/gatepost.8: {fault}"
               for fault in faults_of_manual(code)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
