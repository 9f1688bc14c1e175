/* BoringSSL's memory comes from here: its hooks leave out the length that it
 * would put before each of its blocks (64 bytes of a connection's 2,600), what
 * a connection keeps lies in the slab, and running out of memory aborts as
 * everywhere else. */
#ifndef NET_TLS_MEMORY_H
#define NET_TLS_MEMORY_H

/* Does nothing. A call brings the hooks into a program that links this
 * library; the linker alone puts them to use. */
void tls_memory_link(void);

#endif
