/* Addresses written down. */
#ifndef SUPPORT_ADDRESS_CASE_H
#define SUPPORT_ADDRESS_CASE_H

#include "net/address.h"

/* "192.0.2.1" or "2001:db8::1"; fails the test for anything else. */
struct address address_case(const char *text);

#endif
