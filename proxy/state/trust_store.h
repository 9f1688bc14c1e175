/* The trust anchors of one snapshot: a file that many backends name is read
 * and parsed once, and again only after it has changed. */
#ifndef STATE_TRUST_STORE_H
#define STATE_TRUST_STORE_H

#include "config/mem.h"
#include "config/reason.h"
#include "net/certificate_check.h"
#include "state/file_source.h"

struct trust_store;

struct trust_store *trust_store_new(void);
void trust_store_free(struct trust_store **store);

/* The anchors of a file, lent by the store. former is the store of the
 * snapshot before, whose anchors are taken over where the file is the same;
 * it may be NULL. On failure NULL; the reason is added at the first mention
 * of the file only. */
MUST_USE struct trust_anchors *
trust_store_get(struct trust_store *store, const struct trust_store *former,
                const struct file_source *files, const char *path,
                const struct file_mention *mention, struct reasons *reasons);

#endif
