"""What Python's ssl module cannot do: early data, by `openssl s_client`."""

import base64
import os
import re
import subprocess
import time


def _der_length(octets, at):
    """(length, index after it) of the DER length at `at`."""
    first = octets[at]
    if first < 0x80:
        return first, at + 1
    size = first & 0x7f
    return int.from_bytes(octets[at + 1:at + 1 + size], "big"), at + 1 + size


def _der(tag, content):
    """One DER value."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def allow_early_data(session_pem):
    """The saved session, made to believe that the server takes early data
    (field [15] of OpenSSL's SSL_SESSION), so that s_client sends some."""
    body = re.search(rb"-----BEGIN SSL SESSION PARAMETERS-----(.*?)-----END",
                     session_pem, re.S).group(1)
    der = base64.b64decode(body)
    length, at = _der_length(der, 1)
    fields, end = [], at + length
    while at < end:
        size, content = _der_length(der, at + 1)
        fields.append(der[at:content + size])
        at = content + size
    early = _der(0xaf, _der(0x02, (16384).to_bytes(2, "big")))
    fields = [one for one in fields if one[0] != 0xaf]
    place = next((index for index, one in enumerate(fields)
                  if one[0] & 0xe0 == 0xa0 and one[0] & 0x1f > 15),
                 len(fields))
    fields.insert(place, early)
    text = base64.encodebytes(_der(0x30, b"".join(fields)))
    return (b"-----BEGIN SSL SESSION PARAMETERS-----\n" + text +
            b"-----END SSL SESSION PARAMETERS-----\n")


def s_client(address, *arguments, send=b"", timeout=10):
    """Runs s_client, types `send`, and returns everything it printed."""
    run = subprocess.run(
        ["openssl", "s_client", "-connect", f"{address[0]}:{address[1]}",
         *arguments], input=send, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=timeout, check=False)
    return run.stdout


def save_session(address, folder, name, *arguments, timeout=10):
    """A session with a TLS 1.3 ticket, in a new file; returns its path."""
    path = os.path.join(folder, name)
    assert not os.path.exists(path)
    with subprocess.Popen(
            ["openssl", "s_client", "-connect", f"{address[0]}:{address[1]}",
             "-sess_out", path, "-tls1_3", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL) as client:
        # The ticket comes after the handshake: typing ends only then.
        deadline = time.monotonic() + timeout
        while not os.path.exists(path) or not os.path.getsize(path):
            assert time.monotonic() < deadline, "no ticket came"
            time.sleep(0.02)
        client.stdin.close()
        client.wait(timeout)
    return path
