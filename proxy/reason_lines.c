#include "reason_lines.h"

enum {
    LINE_MAX_BYTES = 2048
};

void reason_lines_print(const struct reasons *reasons, FILE *out)
{
    char line[LINE_MAX_BYTES];

    for (size_t i = 0; i < reasons->count; i++) {
        reason_format(&reasons->items[i], line, sizeof(line));
        fprintf(out, "%s\n", line);
    }
    if (reasons->count < reasons->errors + reasons->warnings)
        fprintf(out, "and %zu more\n",
                reasons->errors + reasons->warnings - reasons->count);
}

void reason_lines_count(size_t count, const char *noun, FILE *out)
{
    fprintf(out, "%zu %s%s", count, noun, count == 1 ? "" : "s");
}
