/* Users as lines of text: a user, a tab, a pool; "# end COUNT" at the end. */
#include "config/route_load.h"

#include <stdio.h>
#include <string.h>

#include "config/pace.h"

#define END_MARK "# end "
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* How much of a text a reason shows. */
#define SHOWN_MAX 100

struct text {
    const char *bytes;
    size_t len;
};

struct lines {
    struct route_loader *loader;
    struct reasons *reasons;
    const char *file;
    struct text all;
    unsigned number;  /* of the line that is read, from 1 */
    uint64_t users;   /* lines that named one, also wrong ones */
    bool has_end;     /* the mark was read */
    bool has_rubbish; /* behind it */
    struct text last_pool;
    uint32_t last_index;
};

static size_t count_users(struct text all);
static bool next_line(struct text *rest, struct text *line_out);
static bool has_byte_order_mark(struct text all);
static void read_line(struct lines *lines, struct text line);
static void read_comment(struct lines *lines, struct text line);
static bool is_end(struct text line);
static bool says_count(struct text line, uint64_t count);
static void read_user(struct lines *lines, struct text line);
static bool read_rule(struct lines *lines, struct text user, struct text rest,
                      uint32_t *rule_out);
static bool find_pool(struct lines *lines, struct text user, struct text pool,
                      uint32_t *index_out);
static void fault_unknown_pool(struct lines *lines, struct text user,
                               struct text pool);
static void add_user(struct lines *lines, struct text user, uint32_t rule);
static void fault_same_user(struct lines *lines, struct text user,
                            const struct identity *identity);
static unsigned line_of(const struct lines *lines,
                        const struct identity *identity);
static struct text before_tab(struct text text);
static struct text behind(struct text text, size_t len);
static void quote(struct text text, char out[SHOWN_MAX + 8]);
static void fault(struct lines *lines, size_t column, const char *found,
                  const char *expected);

void route_load_user_lines(struct route_loader *loader, const char *file,
                           const uint8_t *bytes, size_t len,
                           struct reasons *reasons)
{
    struct text rest = {(const char *)bytes, len};
    struct lines lines = {.loader = loader,
                          .reasons = reasons,
                          .file = file,
                          .all = rest,
                          .number = 1};
    struct text line;

    key_table_init(&loader->table->users, count_users(rest), &loader->seed);
    if (has_byte_order_mark(rest)) {
        fault(&lines, 1, "a byte order mark", "UTF-8 without one");
        return;
    }
    for (; next_line(&rest, &line); lines.number++)
        read_line(&lines, line);
    if (!lines.has_end)
        fault(&lines, 1, "the end of the file",
              "\"# end\" and the number of users: the file was cut");
}

/* Room for what read_line takes for users. */
static size_t count_users(struct text all)
{
    size_t count = 0;
    struct text line;

    while (next_line(&all, &line))
        count += line.len > 0 && line.bytes[0] != '#';
    return count;
}

/* Without its LF or CR LF; the last line may have none. */
static bool next_line(struct text *rest, struct text *line_out)
{
    pace();
    if (rest->len == 0)
        return false;

    const char *end = memchr(rest->bytes, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->bytes);

    *line_out = (struct text){rest->bytes, len};
    *rest = behind(*rest, end == NULL ? len : len + 1);
    if (end != NULL && len > 0 && line_out->bytes[len - 1] == '\r')
        line_out->len--;
    return true;
}

static bool has_byte_order_mark(struct text all)
{
    size_t len = strlen(BYTE_ORDER_MARK);

    return all.len >= len && memcmp(all.bytes, BYTE_ORDER_MARK, len) == 0;
}

static void read_line(struct lines *lines, struct text line)
{
    if (line.len == 0)
        return;
    if (lines->has_end) {
        if (!lines->has_rubbish)
            fault(lines, 1, "more text", "nothing behind \"# end\"");
        lines->has_rubbish = true;
    } else if (line.bytes[0] == '#') {
        read_comment(lines, line);
    } else {
        read_user(lines, line);
    }
}

static void read_comment(struct lines *lines, struct text line)
{
    char found[SHOWN_MAX + 8], expected[96];

    if (!is_end(line))
        return;
    lines->has_end = true;
    if (says_count(line, lines->users))
        return;
    quote(line, found);
    (void)snprintf(expected, sizeof(expected),
                   "\"# end %llu\", the number of users above it",
                   (unsigned long long)lines->users);
    fault(lines, 1, found, expected);
}

/* Any line that begins as the mark does is one: else a cut one could be made of
 * a comment. */
static bool is_end(struct text line)
{
    size_t mark_len = strlen(END_MARK);

    return line.len > mark_len && memcmp(line.bytes, END_MARK, mark_len) == 0 &&
           line.bytes[mark_len] >= '0' && line.bytes[mark_len] <= '9';
}

/* Just as we would write it. */
static bool says_count(struct text line, uint64_t count)
{
    char text[sizeof(END_MARK) + 24];
    int len = snprintf(text, sizeof(text), END_MARK "%llu",
                       (unsigned long long)count);

    return line.len == (size_t)len && memcmp(line.bytes, text, line.len) == 0;
}

static void read_user(struct lines *lines, struct text line)
{
    struct text user = before_tab(line);
    char found[SHOWN_MAX + 8];
    uint32_t rule;

    lines->users++;
    if (user.len == line.len) {
        quote(line, found);
        fault(lines, 1, found, "a user, a tab and the name of a pool");
        return;
    }
    if (read_rule(lines, user, behind(line, user.len + 1), &rule))
        add_user(lines, user, rule);
}

/* The pool, and "hold" behind another tab. */
static bool read_rule(struct lines *lines, struct text user, struct text rest,
                      uint32_t *rule_out)
{
    struct text pool = before_tab(rest);
    struct rule rule = {.hold = pool.len < rest.len};
    char found[SHOWN_MAX + 8];

    if (!find_pool(lines, user, pool, &rule.pool))
        return false;
    if (rule.hold) {
        struct text word = behind(rest, pool.len + 1);

        if (word.len != strlen("hold") ||
            memcmp(word.bytes, "hold", word.len) != 0) {
            quote(word, found);
            fault(lines, user.len + pool.len + 3, found,
                  "\"hold\" or the end of the line");
            return false;
        }
    }
    *rule_out = route_load_rule(lines->loader, rule);
    return true;
}

/* Neighbours in a file are often of one pool. */
static bool find_pool(struct lines *lines, struct text user, struct text pool,
                      uint32_t *index_out)
{
    struct text last = lines->last_pool;

    *index_out = lines->last_index;
    if (last.len == pool.len && pool.len > 0 &&
        memcmp(last.bytes, pool.bytes, pool.len) == 0)
        return true;
    if (!route_names_look_up(lines->loader, &lines->loader->pools, pool.bytes,
                             pool.len, index_out)) {
        fault_unknown_pool(lines, user, pool);
        return false;
    }
    lines->last_pool = pool;
    lines->last_index = *index_out;
    return true;
}

static void fault_unknown_pool(struct lines *lines, struct text user,
                               struct text pool)
{
    const struct route_names *pools = &lines->loader->pools;
    bool is_full = reasons_is_full(lines->reasons, REASON_ERROR);
    char expected[ROUTE_EXPECTED_MAX];
    char found[SHOWN_MAX + 8];

    /* Where the pools themselves were refused, all would seem unknown. */
    if (pools->count == 0)
        return;
    quote(pool, found);
    route_names_expected(pools, "pool", pool.bytes, is_full ? 0 : pool.len,
                         expected);
    fault(lines, user.len + 2, found, expected);
}

static void add_user(struct lines *lines, struct text user, uint32_t rule)
{
    struct identity identity;

    if (!route_load_normalise(lines->loader, user.bytes, user.len, &identity)) {
        fault(lines, 1, "this name",
              "a user name of 1 to 512 bytes, without control characters and "
              "without a master user");
        return;
    }
    switch (route_load_add_user(lines->loader, &identity, rule)) {
    case ROUTE_USER_ADDED:
        break;
    case ROUTE_USER_KNOWN:
        fault_same_user(lines, user, &identity);
        break;
    case ROUTE_USER_TOO_MANY:
        fault(lines, 1, "more than 4 GiB of names", "a smaller table");
        break;
    }
}

static void fault_same_user(struct lines *lines, struct text user,
                            const struct identity *identity)
{
    char found[SHOWN_MAX + 64], shown[SHOWN_MAX + 8];

    quote(user, shown);
    if (route_load_may_search(lines->loader, lines->reasons))
        (void)snprintf(found, sizeof(found), "%s, the same name as in line %u",
                       shown, line_of(lines, identity));
    else
        (void)snprintf(found, sizeof(found), "%s, the same name as before",
                       shown);
    fault(lines, 1, found, "each name once");
}

/* Where the name stands first. */
static unsigned line_of(const struct lines *lines,
                        const struct identity *identity)
{
    struct text rest = lines->all;
    struct identity other;
    struct text line;
    unsigned number = 1;

    for (; next_line(&rest, &line) && number < lines->number; number++) {
        struct text user = before_tab(line);

        if (user.len > 0 && user.len < line.len &&
            route_load_normalise(lines->loader, user.bytes, user.len, &other) &&
            strcmp(other.user, identity->user) == 0)
            break;
    }
    return number;
}

/* All of it where there is no tab. */
static struct text before_tab(struct text text)
{
    const char *tab = memchr(text.bytes, '\t', text.len);

    if (tab != NULL)
        text.len = (size_t)(tab - text.bytes);
    return text;
}

static struct text behind(struct text text, size_t len)
{
    return (struct text){text.bytes + len, text.len - len};
}

/* What a terminal should not see, reasons_add takes care of; it ends at a NUL,
 * as what it is given is C text. */
static void quote(struct text text, char out[SHOWN_MAX + 8])
{
    size_t shown = text.len > SHOWN_MAX ? SHOWN_MAX : text.len;

    while (shown < text.len && shown > 0 &&
           ((unsigned char)text.bytes[shown] & 0xc0) == 0x80)
        shown--; /* never half a character of UTF-8 */
    (void)snprintf(out, SHOWN_MAX + 8, "\"%.*s%s\"", (int)shown, text.bytes,
                   shown < text.len ? "..." : "");
}

static void fault(struct lines *lines, size_t column, const char *found,
                  const char *expected)
{
    reasons_add_syntax(lines->reasons, lines->file, NULL, lines->number,
                       (unsigned)column, found, expected);
}
