#!/usr/bin/env bash
# Format and lint, the same by hand and in CI.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: tests/lint/run.sh check [CHECK...]
       tests/lint/run.sh fix

Checks: format     clang-format 14 and .clang-format
        includes   who may include whom (tests/lint/includes.py)
        scripts    shellcheck
        manual     mandoc's lint of deploy/gatepost.8
        documents  files and functions that they name are there
        json       every JSON file can be read
        tidy       clang-tidy 14 and .clang-tidy; reads build/dev

All of them by default. Each prints "ok NAME" or "not ok NAME" as its last
line. fix lets clang-format rewrite the files.
TEXT
}

cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin

c_files() {
    find auth config proxy tests -name '*.[ch]' -type f | sort
}

script_files() {
    # Whatever begins as a shell script, also where a tool has no suffix.
    find .ci deploy tests -type f -size -200k \
        -not -path '*/.quickstart/*' -not -path '*/node_modules/*' \
        -exec grep -lE -m1 '^#!.*[/ ](ba)?sh$' {} + | sort
}

check_format() {
    c_files | xargs -r clang-format-14 --dry-run --Werror
}

check_includes() {
    /usr/bin/python3 tests/lint/includes.py
}

check_scripts() {
    script_files | xargs -r shellcheck
}

check_manual() {
    mandoc -T lint -W warning deploy/gatepost.8
}

check_documents() {
    /usr/bin/python3 tests/lint/documents.py
}

check_json() {
    local file bad=0

    while read -r file; do
        /usr/bin/python3 -m json.tool "$file" /dev/null || {
            printf '%s: see above\n' "$file"
            bad=1
        }
    done < <(find . -maxdepth 1 -name '*.json' -printf '%P\n'
        find config deploy -name '*.json' -not -path '*/.quickstart/*')
    return "$bad"
}

check_tidy() {
    [ -f build/dev/compile_commands.json ] || {
        printf 'build/dev is missing: run deploy/build dev\n'
        return 1
    }
    find auth config proxy -name '*.c' -type f | sort |
        xargs -r -n 4 -P "$(nproc)" clang-tidy-14 -p build/dev --quiet 2>&1 |
        { grep -v -E '^[0-9]+ warnings? generated\.$|^Suppressed |^Use -header' ||
            true; }
}

run_check() {
    if "check_$1"; then
        printf 'ok %s\n' "$1"
    else
        printf 'not ok %s\n' "$1"
        return 1
    fi
}

check_all() {
    local name failures=0

    [ $# -gt 0 ] || set -- format includes scripts manual documents json \
        tidy
    for name in "$@"; do
        declare -F "check_$name" >/dev/null || {
            usage >&2
            exit 2
        }
        run_check "$name" || failures=$((failures + 1))
    done
    [ "$failures" -eq 0 ]
}

case ${1-} in
check)
    shift
    check_all "$@"
    ;;
fix)
    c_files | xargs -r clang-format-14 -i
    ;;
-h | --help)
    usage
    ;;
*)
    usage >&2
    exit 2
    ;;
esac
