/* Mode login: whole sessions, as short as they get: connect, TLS, greeting,
 * LOGIN, LOGOUT, its BYE and OK, close. A login's time runs from connect() to
 * the tagged OK of LOGIN. */
#include "batch.h"
#include "mode.h"
#include "percentiles.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    TICK_MS = 1
};

static const uint64_t ns_per_second = 1000000000;

enum slot_state {
    SLOT_LOGIN,
    SLOT_LOGOUT,
    SLOT_DONE
};

/* One login at a time, over and over. */
struct slot {
    struct login *login;
    struct client *client; /* NULL: free */
    struct ticket ticket;
    enum slot_state state;
    uint64_t started_ns;
    uint64_t took_ns;
    bool was_resumed;
};

struct login {
    struct batch batch;
    struct slot *slots;
    struct slot **free_slots;
    unsigned free_count;
    unsigned wanted; /* logins of the batch under way */
    unsigned started;
    unsigned done;
    unsigned failed;
    unsigned resumed;
    bool is_priming;     /* each slot gets its first ticket */
    bool is_late;        /* logins were due, and no slot was free */
    bool has_given_up;   /* what was not started counts as failed */
    const char *version; /* of the login that was done last */
    const char *cipher;
    struct percentiles percentiles;
    uv_timer_t tick; /* starts what is due */
};

static void make_slots(struct login *login);
static void start_batch(void *owner);
static void give_up(void *owner);
static void begin(struct login *login, unsigned wanted);
static void on_tick(uv_timer_t *tick);
static void start_due(struct login *login);
static unsigned count_due(const struct login *login);
static void start_login(struct login *login);
static uint64_t choose_start(const struct login *login);
static void on_client(struct client *client, enum client_event event,
                      void *owner);
static void take_ready(struct slot *slot);
static void take_end(struct slot *slot);
static void count_end(struct slot *slot);
static void end_if_done(struct login *login);
static void report(struct login *login);

static const struct batch_verbs verbs = {start_batch, give_up};

int mode_login_run(const struct load_options *options)
{
    static struct login login;

    batch_open(&login.batch, options, &verbs, &login);
    if (uv_timer_init(&login.batch.loop, &login.tick) != 0)
        return EXIT_FAILURE;
    login.tick.data = &login;
    percentiles_init(&login.percentiles, options->count);
    make_slots(&login);
    if (options->must_resume) {
        login.is_priming = true;
        begin(&login, options->parallel);
    } else {
        batch_ready(&login.batch);
    }
    return batch_run(&login.batch);
}

static void make_slots(struct login *login)
{
    unsigned count = login->batch.options->parallel;

    login->slots = calloc(count, sizeof(*login->slots));
    login->free_slots = calloc(count, sizeof(struct slot *));
    if (login->slots == NULL || login->free_slots == NULL)
        abort();
    for (unsigned i = 0; i < count; i++) {
        login->slots[i].login = login;
        login->free_slots[login->free_count++] = &login->slots[i];
    }
}

static void start_batch(void *owner)
{
    struct login *login = owner;

    begin(login, login->batch.options->count);
}

static void give_up(void *owner)
{
    struct login *login = owner;

    login->has_given_up = true;
    for (unsigned i = 0; i < login->batch.options->parallel; i++) {
        if (login->slots[i].client != NULL)
            client_fail(login->slots[i].client, "nothing moves");
    }
}

static void begin(struct login *login, unsigned wanted)
{
    login->wanted = wanted;
    login->started = login->done = login->failed = login->resumed = 0;
    login->is_late = login->has_given_up = false;
    login->version = login->cipher = "none";
    percentiles_clear(&login->percentiles);
    if (!login->is_priming && login->batch.options->rate > 0)
        uv_timer_start(&login->tick, on_tick, 0, TICK_MS);
    else
        start_due(login);
}

static void on_tick(uv_timer_t *tick)
{
    start_due(tick->data);
}

static void start_due(struct login *login)
{
    unsigned due = count_due(login);

    while (login->started < due && login->free_count > 0)
        start_login(login);
    login->is_late = login->started < due;
}

/* How many logins of the batch should have been started by now. */
static unsigned count_due(const struct login *login)
{
    uint64_t rate = login->batch.options->rate;
    uint64_t due;

    if (login->has_given_up)
        return login->started;
    if (rate == 0 || login->is_priming)
        return login->wanted;
    due = (uv_hrtime() - login->batch.started_ns) * rate / ns_per_second + 1;
    return due < login->wanted ? (unsigned)due : login->wanted;
}

static void start_login(struct login *login)
{
    struct slot *slot = login->free_slots[--login->free_count];
    bool must_resume = login->batch.options->must_resume;

    slot->state = SLOT_LOGIN;
    slot->was_resumed = false;
    slot->started_ns = choose_start(login);
    login->started++;
    slot->client = batch_connect(
        &login->batch, must_resume ? &slot->ticket : NULL, on_client, slot);
}

/* At a given rate, a login that had to wait for a slot has waited since it was
 * due: otherwise a proxy that stalls would look fast. */
static uint64_t choose_start(const struct login *login)
{
    uint64_t rate = login->batch.options->rate;

    if (rate == 0 || !login->is_late)
        return uv_hrtime();
    return login->batch.started_ns + login->started * ns_per_second / rate;
}

static void on_client(struct client *client, enum client_event event,
                      void *owner)
{
    struct slot *slot = owner;

    switch (event) {
    case CLIENT_READY:
        take_ready(slot);
        break;
    case CLIENT_CONTINUE:
        break;
    case CLIENT_DONE:
        slot->state = SLOT_DONE;
        client_close(client);
        break;
    case CLIENT_CLOSED:
        take_end(slot);
        break;
    }
}

static void take_ready(struct slot *slot)
{
    const SSL *ssl = client_ssl(slot->client);

    slot->took_ns = uv_hrtime() - slot->started_ns;
    slot->was_resumed = ssl != NULL && SSL_session_reused(ssl);
    if (!batch_admits(&slot->login->batch, slot->client))
        return;
    slot->state = SLOT_LOGOUT;
    client_command(slot->client, "LOGOUT");
}

static void take_end(struct slot *slot)
{
    struct login *login = slot->login;

    count_end(slot);
    slot->client = NULL;
    login->free_slots[login->free_count++] = slot;
    start_due(login);
    end_if_done(login);
}

static void count_end(struct slot *slot)
{
    struct login *login = slot->login;

    if (slot->state != SLOT_DONE) {
        login->failed++;
        batch_tell_fault(&login->batch, slot->client);
        return;
    }
    login->done++;
    login->resumed += slot->was_resumed ? 1 : 0;
    login->version = batch_version(slot->client);
    login->cipher = batch_cipher(slot->client);
    percentiles_add(&login->percentiles, slot->took_ns);
}

static void end_if_done(struct login *login)
{
    if (login->has_given_up) {
        login->failed += login->wanted - login->started;
        login->started = login->wanted;
    }
    if (login->done + login->failed < login->wanted)
        return;
    uv_timer_stop(&login->tick);
    if (login->is_priming) {
        login->is_priming = false;
        batch_ready(&login->batch);
    } else {
        report(login);
    }
}

static void report(struct login *login)
{
    double seconds = batch_end(&login->batch);
    const struct percentiles *percentiles = &login->percentiles;

    percentiles_sort(&login->percentiles);
    control_say("done %u failed %u resumed %u seconds %.6f p50 %" PRIu64
                " p99 %" PRIu64 " version %s cipher %s",
                login->done, login->failed, login->resumed, seconds,
                percentiles_at_us(percentiles, 50),
                percentiles_at_us(percentiles, 99), login->version,
                login->cipher);
}
