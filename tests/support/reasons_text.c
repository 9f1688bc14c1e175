#include "reasons_text.h"

#include <string.h>

#include "config/mem.h"

char *reasons_text(const struct reasons *reasons)
{
    char line[2048];
    char *text = mem_strdup("");
    size_t len = 0;

    for (size_t i = 0; i < reasons->count; i++) {
        size_t added = reason_format(&reasons->items[i], line, sizeof(line));

        text = mem_realloc(text, len + added + 2);
        memcpy(text + len, line, added);
        memcpy(text + len + added, "\n", 2);
        len += added + 1;
    }
    return text;
}
