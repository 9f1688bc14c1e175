#include "session/probe.h"

#include "session/upstream_login.h"
#include "session/upstream_notes.h"
#include "state/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What our own commands carry before are G1 and G2. */
static const char login_tag[] = "G3";
static const char logout[] = "G4 LOGOUT\r\n";

struct probe {
    struct io *io;
    struct snapshot *snapshot; /* the target's */
    const struct link_target *target;
    struct health_watch *watch;
    struct wheel_timer deadline;
    struct link *link;     /* while it is under way */
    struct stream *stream; /* once it is ready */
    struct credentials *credentials;
    struct upstream_login *login;
};

#define PROBE_OF(timer)                                                        \
    ((struct probe *)(void *)((char *)(timer)-offsetof(struct probe, deadline)))

static void on_link(struct link *link, bool is_ready, void *owner);
static void on_deadline(struct wheel_timer *timer);

static struct probe *open_probe(void *owner, const struct link_target *target,
                                uint64_t timeout_ms, struct health_watch *watch)
{
    struct env *env = owner;
    struct probe *probe = mem_zalloc(sizeof(*probe));
    struct link_rules rules = snapshot_link_rules(env->snapshot);

    rules.is_probe = true;
    probe->io = &env->io;
    probe->snapshot = snapshot_ref(env->snapshot);
    probe->target = target;
    probe->watch = watch;
    wheel_timer_init(&probe->deadline, on_deadline);
    io_arm(probe->io, &probe->deadline, timeout_ms);
    probe->link = link_open(probe->io, target, &rules, on_link, probe);
    return probe;
}

static void ignore(struct stream *stream, enum stream_event event, void *owner)
{
    (void)stream;
    (void)event;
    (void)owner;
}

static void drop_login(struct probe *probe)
{
    upstream_login_free(&probe->login);
    if (probe->credentials != NULL)
        credentials_wipe(probe->credentials);
    free(probe->credentials);
    probe->credentials = NULL;
}

static void close_probe(struct probe **probe)
{
    struct probe *mine = *probe;

    *probe = NULL;
    if (mine == NULL)
        return;
    io_disarm(mine->io, &mine->deadline);
    link_free(&mine->link);
    drop_login(mine);
    if (mine->stream != NULL) {
        stream_set_owner(mine->stream, ignore, NULL);
        stream_close(mine->stream);
    }
    snapshot_unref(&mine->snapshot);
    free(mine);
}

const struct health_verbs *probe_verbs(void)
{
    static const struct health_verbs verbs = {open_probe, close_probe};

    return &verbs;
}

/* The watch closes the probe: nobody touches it afterwards. */
static void find(struct probe *probe, enum health_finding finding,
                 const char *why)
{
    health_found(probe->watch, finding, why);
}

static void fail(struct probe *probe, const char *what, const char *why)
{
    char text[BACKEND_WHY_MAX];

    snprintf(text, sizeof(text), "probe: %s%s%s", what, why == NULL ? "" : ": ",
             why == NULL ? "" : why);
    find(probe, HEALTH_BAD, text);
}

/* Politely, so that the backend does not log somebody who hung up. */
static void leave(struct probe *probe)
{
    struct stream *stream = probe->stream;

    probe->stream = NULL;
    stream_set_owner(stream, ignore, NULL);
    (void)stream_write(stream, (const uint8_t *)logout, strlen(logout));
    stream_end(stream, STREAM_DISCARD_MS);
}

static void succeed(struct probe *probe)
{
    leave(probe);
    find(probe, HEALTH_GOOD, "");
}

static void on_deadline(struct wheel_timer *timer)
{
    struct probe *probe = PROBE_OF(timer);

    fail(probe, probe->login != NULL ? "login" : "dial", "timeout");
}

static bool has_code(const struct upstream_refusal *refusal, const char *code)
{
    return refusal->answer == LOGIN_ANSWER_CODED &&
           refusal->code_len == strlen(code) &&
           strncasecmp(refusal->code, code, refusal->code_len) == 0;
}

/* Who judges the password has looked it up (RFC 5530). A secret that was
 * changed on one side only must not take every backend down. */
static bool is_verdict(const struct upstream_refusal *refusal)
{
    return refusal->kind == UPSTREAM_REFUSAL_NO &&
           (refusal->answer == LOGIN_ANSWER_BAD_CREDENTIALS ||
            has_code(refusal, "AUTHORIZATIONFAILED") ||
            has_code(refusal, "EXPIRED"));
}

static void take_refusal(struct probe *probe)
{
    const struct upstream_refusal *refusal =
        upstream_login_refusal(probe->login);

    if (is_verdict(refusal)) {
        upstream_notes_probe(probe->target->facts);
        succeed(probe);
        return;
    }
    leave(probe);
    fail(probe, "login", refusal->reason);
}

static void send_to_backend(struct probe *probe)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_backend(probe->login, &len);

    if (len > 0)
        (void)stream_write(probe->stream, bytes, len);
    upstream_login_to_backend_clear(probe->login);
}

static void take_result(struct probe *probe, enum upstream_login_result result)
{
    send_to_backend(probe);
    switch (result) {
    case UPSTREAM_LOGIN_MORE:
        break;
    case UPSTREAM_LOGIN_DONE:
        succeed(probe);
        break;
    case UPSTREAM_LOGIN_CHALLENGE: /* never to a password */
    case UPSTREAM_LOGIN_REFUSED:
    case UPSTREAM_LOGIN_BROKEN:
        take_refusal(probe);
        break;
    }
}

static void take_bytes(struct probe *probe)
{
    size_t len, used;
    const uint8_t *bytes = stream_lent(probe->stream, &len);

    take_result(probe, upstream_login_feed(probe->login, bytes, len, &used));
}

static void on_stream(struct stream *stream, enum stream_event event,
                      void *owner)
{
    struct probe *probe = owner;

    switch (event) {
    case STREAM_DATA:
        take_bytes(probe);
        break;
    case STREAM_EOF:
        fail(probe, "login", "backend closed the connection");
        break;
    case STREAM_FAILED:
        fail(probe, "login", stream_failure(stream));
        break;
    case STREAM_SECURE:
    case STREAM_DRAINED:
    case STREAM_CLOSED:
        break;
    }
}

/* False when they are too long to be sent. */
static bool set_credentials(struct probe *probe, const struct master_login *who)
{
    probe->credentials = mem_zalloc(sizeof(*probe->credentials));
    probe->credentials->kind = CREDENTIALS_PASSWORD;
    return credentials_set_user(probe->credentials, (const uint8_t *)who->user,
                                strlen(who->user)) &&
           credentials_set_secret(probe->credentials, who->secret,
                                  who->secret_len);
}

static void log_in(struct probe *probe, const struct master_login *who,
                   const struct imap_capabilities *known)
{
    struct upstream_login_request request = {
        .tag = login_tag,
        .known = known,
        /* Told from a NO that is coded as a verdict: see is_verdict. */
        .passes_uncoded_no = true,
    };

    if (!set_credentials(probe, who)) {
        leave(probe);
        fail(probe, "login", "bad-credentials");
        return;
    }
    request.credentials = probe->credentials;
    probe->login = upstream_login_new();
    stream_set_owner(probe->stream, on_stream, probe);
    take_result(probe, upstream_login_start(probe->login, &request));
}

static void on_link(struct link *link, bool is_ready, void *owner)
{
    struct probe *probe = owner;
    const struct master_login *who =
        snapshot_probe_login(probe->snapshot, probe->target->config);

    if (!is_ready) {
        find(probe, link_is_our_fault(link) ? HEALTH_UNKNOWN : HEALTH_BAD,
             link_failure(link));
        return;
    }
    probe->stream = link_take(link);
    if (who != NULL)
        log_in(probe, who, link_capabilities(link));
    else
        succeed(probe);
}
