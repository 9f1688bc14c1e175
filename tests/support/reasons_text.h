/* Reasons as an operator would read them. */
#ifndef SUPPORT_REASONS_TEXT_H
#define SUPPORT_REASONS_TEXT_H

#include "config/reason.h"

/* All lines, each ended by a newline; "" for none. The caller frees it. */
char *reasons_text(const struct reasons *reasons);

#endif
