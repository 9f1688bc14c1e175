"""Real IMAP clients, each on one visit: it logs in and does what it can of
list, select, fetch, append and search, and tells what it saw.

A visitor is a function(visit) that returns {operation: what was seen} and
raises when the client fails, as it does for a certificate it distrusts."""

from .fetching import curl, fetchmail, getmail
from .neomutt import neomutt
from .scripted import imapfilter, imapflow, python_imaplib
from .syncing import mbsync, offlineimap
from .thunderbird import thunderbird
from .typed import gnutls_cli, openssl_s_client
from .visit import Visit

__all__ = ["CLIENTS", "NO_STARTTLS", "NO_VERIFYING", "Visit", "getmail",
           "thunderbird"]

# Each client with what it does of the five operations.
EVERYTHING = frozenset(("list", "select", "fetch", "append", "search"))
CLIENTS = {
    curl: EVERYTHING,
    mbsync: EVERYTHING - {"search"},
    offlineimap: EVERYTHING - {"search"},
    fetchmail: EVERYTHING - {"list", "append"},
    getmail: EVERYTHING - {"append"},
    python_imaplib: EVERYTHING,
    openssl_s_client: EVERYTHING,
    gnutls_cli: EVERYTHING,
    imapflow: EVERYTHING,
    imapfilter: EVERYTHING,
    neomutt: EVERYTHING,
    thunderbird: EVERYTHING - {"search"},
}

# Clients that lack, after STARTTLS, what the others have: all of it, or a
# look at the certificate.
NO_STARTTLS = frozenset((getmail,))
NO_VERIFYING = NO_STARTTLS | {offlineimap}
