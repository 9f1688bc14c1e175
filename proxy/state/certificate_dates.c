#include "state/certificate_dates.h"

#include "net/pem.h"

enum {
    DAY_S = 24 * 60 * 60
};

static bool is_expired(const struct snapshot *snapshot, size_t index,
                       int64_t now)
{
    return tls_server_context_ends(snapshot->tls, index) <= now;
}

static bool is_expiring(const struct snapshot *snapshot, size_t index,
                        int64_t now)
{
    int64_t notice = now + (int64_t)PEM_EXPIRY_NOTICE_DAYS * DAY_S;

    return !is_expired(snapshot, index, now) &&
           tls_server_context_ends(snapshot->tls, index) <= notice;
}

static bool is_nameless(const struct snapshot *snapshot, size_t index)
{
    return tls_server_context_name_count(snapshot->tls, index) == 0;
}

struct certificate_tally
certificate_dates_tally(const struct snapshot *snapshot, int64_t now)
{
    struct certificate_tally tally = {.expired = 0};

    for (size_t i = 0; i < snapshot->certificate_count; i++) {
        tally.expired += is_expired(snapshot, i, now);
        tally.expiring += is_expiring(snapshot, i, now);
        tally.nameless += is_nameless(snapshot, i);
    }
    return tally;
}

static void warn(const struct snapshot *snapshot, size_t index,
                 const char *found, const char *expected,
                 struct reasons *reasons)
{
    reasons_add(reasons, REASON_WARNING, snapshot->certificate_files[index],
                NULL, found, expected);
}

void certificate_dates_warn(const struct snapshot *snapshot, int64_t now,
                            struct reasons *reasons)
{
    for (size_t i = 0; i < snapshot->certificate_count; i++) {
        if (is_nameless(snapshot, i))
            warn(snapshot, i, "a certificate that covers no host name",
                 "one with a dNSName among its alternative names", reasons);
        if (is_expired(snapshot, i, now))
            warn(snapshot, i, "an expired certificate", "one that is valid now",
                 reasons);
        else if (is_expiring(snapshot, i, now))
            warn(snapshot, i, "a certificate that expires within 14 days",
                 "one that is valid for longer", reasons);
    }
}
