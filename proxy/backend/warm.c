#include "backend/warm.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <openssl/rand.h>
#include <stdlib.h>

struct stock;

/* One connection, from its dial until it is lent or ends. */
struct connection {
    struct connection *next;
    struct stock *stock;
    struct link *link;     /* while it is dialled */
    struct stream *stream; /* once it is ready */
    bool is_tried;
    struct imap_capabilities capabilities;
    struct wheel_timer age;
};

/* The connections to one backend. */
struct stock {
    struct warm *warm;
    const struct link_target *target;
    struct connection *ready; /* the youngest first */
    struct connection *dialled;
    struct connection *tried; /* had in trouble: to last before they are lent */
    unsigned held;            /* in the three lists */

    /* Dials that failed and connections that were lost, since one tried lasted
     * for WARM_TRIAL_MS; what is lost during a pause is the same trouble. */
    unsigned troubles;
    bool is_pausing;
    struct wheel_timer trouble_timer; /* a pause ends, or a trial */

    bool is_short; /* waits among the short ones for its turn to dial */
    struct stock *next_short;
};

struct warm {
    struct io *io;
    struct link_rules rules;
    const struct link_target *targets;
    struct stock **stocks; /* one per target; NULL where none is asked for */
    size_t count;

    struct stock *first_short;
    struct stock *last_short;
    uv_idle_t *turn; /* of the loop: dials for them; NULL: stopped */
};

#define STOCK_OF(timer)                                                        \
    ((struct stock *)(void *)((char *)(timer)-offsetof(struct stock,           \
                                                       trouble_timer)))
#define CONNECTION_OF(timer)                                                   \
    ((struct connection *)(void *)((char *)(timer)-offsetof(struct connection, \
                                                            age)))

static void refill(struct stock *stock);
static void forget_short(struct warm *warm);
static void open_turn(struct warm *warm);
static void close_turn(struct warm *warm);
static void on_link(struct link *link, bool is_ready, void *owner);
static void on_stream(struct stream *stream, enum stream_event event,
                      void *owner);
static void on_trouble_timer(struct wheel_timer *timer);
static void on_age(struct wheel_timer *timer);
static void free_stocks(struct stock **stocks, size_t count);
static struct stock **
carry_over(struct warm *warm, const struct link_target *targets, size_t count);

struct warm *warm_new(struct io *io)
{
    struct warm *warm = mem_zalloc(sizeof(*warm));

    warm->io = io;
    return warm;
}

unsigned warm_wanted(const struct backend_config *config)
{
    return config->weight > 0 ? config->warm : 0;
}

void warm_follow(struct warm *warm, const struct link_target *targets,
                 size_t count, const struct link_rules *rules)
{
    struct stock **stocks = carry_over(warm, targets, count);

    if (warm->turn == NULL)
        open_turn(warm);
    forget_short(warm);
    free_stocks(warm->stocks, warm->count);
    warm->rules = *rules;
    warm->targets = targets;
    warm->stocks = stocks;
    warm->count = count;
    for (size_t i = 0; i < count; i++) {
        if (stocks[i] != NULL)
            refill(stocks[i]);
    }
}

void warm_stop(struct warm *warm)
{
    forget_short(warm);
    close_turn(warm);
    free_stocks(warm->stocks, warm->count);
    warm->stocks = NULL;
    warm->targets = NULL;
    warm->count = 0;
}

void warm_free(struct warm **warm)
{
    struct warm *mine = *warm;

    *warm = NULL;
    if (mine == NULL)
        return;
    warm_stop(mine);
    free(mine);
}

/* A session may still go by a table that is followed no more: its targets lie
 * elsewhere. */
static struct stock *find_stock(const struct warm *warm,
                                const struct link_target *target)
{
    uintptr_t offset = (uintptr_t)target - (uintptr_t)warm->targets;
    size_t index = offset / sizeof(*target);

    return index < warm->count ? warm->stocks[index] : NULL;
}

static void ignore(struct stream *stream, enum stream_event event, void *owner)
{
    (void)stream;
    (void)event;
    (void)owner;
}

static void end_stream(struct stream *stream)
{
    stream_set_owner(stream, ignore, NULL);
    stream_shut_down(stream);
    stream_close(stream);
}

static void remove_from(struct connection **list, struct connection *connection)
{
    while (*list != connection)
        list = &(*list)->next;
    *list = connection->next;
    connection->stock->held--;
}

/* Takes a connection that is ready or tried out of its stock and gives its
 * stream away. */
static struct stream *give_stream(struct connection *connection)
{
    struct stock *stock = connection->stock;
    struct io *io = stock->warm->io;
    struct stream *stream = connection->stream;

    if (connection->is_tried) {
        remove_from(&stock->tried, connection);
    } else {
        remove_from(&stock->ready, connection);
        counters_subtract(io->counters, COUNTER_WARM_READY, 1);
    }
    io_disarm(io, &connection->age);
    free(connection);
    return stream;
}

/* A backend's end or its words may wait in the socket, in the same turn of the
 * loop that brought the login. */
static struct stream *take_silent(struct stock *stock,
                                  struct imap_capabilities *capabilities_out)
{
    while (stock->ready != NULL) {
        struct stream *stream;

        *capabilities_out = stock->ready->capabilities;
        stream = give_stream(stock->ready);
        if (!stream_has_input(stream))
            return stream;
        counters_add(stock->warm->io->counters, COUNTER_WARM_LOST, 1);
        end_stream(stream);
    }
    return NULL;
}

struct stream *warm_take(struct warm *warm, const struct link_target *target,
                         struct imap_capabilities *capabilities_out)
{
    struct stock *stock = find_stock(warm, target);
    struct stream *stream;

    if (stock == NULL)
        return NULL;
    stream = take_silent(stock, capabilities_out);
    counters_add(warm->io->counters,
                 stream != NULL ? COUNTER_WARM_TAKEN : COUNTER_WARM_MISSED, 1);
    refill(stock);
    return stream;
}

static uint64_t pick_age(void)
{
    uint16_t random;

    RAND_bytes((uint8_t *)&random, sizeof(random));
    return WARM_AGE_MS - random % (WARM_AGE_MS / 4);
}

static void pause_after(struct stock *stock)
{
    uint64_t pause_ms = WARM_PAUSE_MS;

    for (unsigned i = 1; i < stock->troubles && pause_ms < WARM_PAUSE_MAX_MS;
         i++)
        pause_ms *= 2;
    stock->is_pausing = true;
    io_arm(stock->warm->io, &stock->trouble_timer,
           pause_ms < WARM_PAUSE_MAX_MS ? pause_ms : WARM_PAUSE_MAX_MS);
}

/* Of a row of troubles the first is told, however many connections it took;
 * the facts tell when it takes the backend down. */
static void meet_trouble(struct stock *stock, const char *event,
                         const char *why)
{
    struct log_entry entry;

    if (stock->is_pausing)
        return;
    stock->troubles++;
    pause_after(stock);
    log_begin(&entry, stock->troubles == 1 ? LOG_WARN : LOG_DEBUG, event);
    log_text(&entry, "backend", stock->target->config->name);
    log_text(&entry, "reason", why);
    log_u64(&entry, "troubles", stock->troubles);
    log_end(&entry);
}

static void dial(struct stock *stock)
{
    struct warm *warm = stock->warm;
    struct connection *connection = mem_zalloc(sizeof(*connection));

    connection->stock = stock;
    wheel_timer_init(&connection->age, on_age);
    connection->next = stock->dialled;
    stock->dialled = connection;
    stock->held++;
    connection->link =
        link_open(warm->io, stock->target, &warm->rules, on_link, connection);
}

/* One while the backend gives trouble: it may be short of room, or greet all
 * who call and keep none. */
static bool may_dial(const struct stock *stock)
{
    return !stock->is_pausing &&
           backend_mode(stock->target->facts) != BACKEND_MAINTENANCE &&
           stock->held < warm_wanted(stock->target->config) &&
           (stock->troubles == 0 ||
            (stock->dialled == NULL && stock->tried == NULL));
}

static void dial_one(struct stock *stock)
{
    if (!may_dial(stock))
        return;
    if (backend_may_dial(stock->target->facts, clock_now_ms()))
        dial(stock);
    else
        meet_trouble(stock, "warm-waits", "backend is down");
}

static struct stock *take_short(struct warm *warm)
{
    struct stock *stock = warm->first_short;

    warm->first_short = stock->next_short;
    if (warm->first_short == NULL)
        warm->last_short = NULL;
    stock->next_short = NULL;
    stock->is_short = false;
    return stock;
}

/* By turns, so that none waits until another one has all that it asks for. */
static void on_turn(uv_idle_t *turn)
{
    struct warm *warm = turn->data;

    for (int i = 0; i < WARM_TURN_MAX && warm->first_short != NULL; i++) {
        struct stock *stock = take_short(warm);

        dial_one(stock);
        refill(stock);
    }
    if (warm->first_short == NULL)
        uv_idle_stop(turn);
}

/* Dials nothing yet: the bytes of a login go first, and whoever asks for much
 * does not keep the sessions waiting. */
static void refill(struct stock *stock)
{
    struct warm *warm = stock->warm;

    if (stock->is_short || !may_dial(stock))
        return;
    stock->is_short = true;
    if (warm->last_short == NULL)
        warm->first_short = stock;
    else
        warm->last_short->next_short = stock;
    warm->last_short = stock;
    uv_idle_start(warm->turn, on_turn);
}

static void forget_short(struct warm *warm)
{
    while (warm->first_short != NULL)
        take_short(warm);
}

static void open_turn(struct warm *warm)
{
    warm->turn = mem_alloc(sizeof(*warm->turn));
    uv_idle_init(warm->io->loop, warm->turn);
    warm->turn->data = warm;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void close_turn(struct warm *warm)
{
    if (warm->turn != NULL)
        uv_close((uv_handle_t *)warm->turn, free_handle);
    warm->turn = NULL;
}

static void make_ready(struct connection *connection)
{
    struct stock *stock = connection->stock;

    connection->next = stock->ready;
    stock->ready = connection;
    stock->held++;
    counters_add(stock->warm->io->counters, COUNTER_WARM_READY, 1);
}

static void begin_trial(struct stock *stock)
{
    io_arm(stock->warm->io, &stock->trouble_timer, WARM_TRIAL_MS);
}

/* Not lent, or else a backend that is busy would never be found well. */
static void put_on_trial(struct connection *connection)
{
    struct stock *stock = connection->stock;

    if (stock->tried == NULL && !stock->is_pausing)
        begin_trial(stock);
    connection->is_tried = true;
    connection->next = stock->tried;
    stock->tried = connection;
    stock->held++;
}

static void end_trouble(struct stock *stock)
{
    stock->troubles = 0;
    while (stock->tried != NULL) {
        struct connection *connection = stock->tried;

        remove_from(&stock->tried, connection);
        connection->is_tried = false;
        make_ready(connection);
    }
}

static void on_trouble_timer(struct wheel_timer *timer)
{
    struct stock *stock = STOCK_OF(timer);
    bool was_pausing = stock->is_pausing;

    stock->is_pausing = false;
    if (stock->tried != NULL && was_pausing)
        begin_trial(stock);
    else if (stock->tried != NULL)
        end_trouble(stock);
    refill(stock);
}

static void keep(struct connection *connection, struct link *link)
{
    struct stock *stock = connection->stock;

    connection->capabilities = *link_capabilities(link);
    connection->stream = link_take(link);
    stream_set_owner(connection->stream, on_stream, connection);
    io_arm(stock->warm->io, &connection->age, pick_age());
    if (stock->troubles == 0)
        make_ready(connection);
    else
        put_on_trial(connection);
}

static void on_link(struct link *link, bool is_ready, void *owner)
{
    struct connection *connection = owner;
    struct stock *stock = connection->stock;

    remove_from(&stock->dialled, connection);
    connection->link = NULL;
    if (is_ready) {
        keep(connection, link);
    } else {
        meet_trouble(stock, "warm-dial-failed", link_failure(link));
        free(connection);
    }
    link_free(&link);
    refill(stock);
}

static void lose(struct connection *connection, const char *why)
{
    struct stock *stock = connection->stock;

    counters_add(stock->warm->io->counters, COUNTER_WARM_LOST, 1);
    meet_trouble(stock, "warm-lost", why);
    end_stream(give_stream(connection));
}

static void on_stream(struct stream *stream, enum stream_event event,
                      void *owner)
{
    switch (event) {
    case STREAM_DATA:
        /* Be it a BYE: nothing that was not asked for may come to stand
         * before the answer to a login. */
        lose(owner, "backend speaks out of turn");
        break;
    case STREAM_EOF:
        lose(owner, "backend closed the connection");
        break;
    case STREAM_FAILED:
        lose(owner, stream_failure(stream));
        break;
    case STREAM_SECURE:
    case STREAM_DRAINED:
    case STREAM_CLOSED:
        break;
    }
}

static void on_age(struct wheel_timer *timer)
{
    struct connection *connection = CONNECTION_OF(timer);
    struct stock *stock = connection->stock;

    counters_add(stock->warm->io->counters, COUNTER_WARM_EXPIRED, 1);
    end_stream(give_stream(connection));
    refill(stock);
}

static void drop_dialled(struct stock *stock)
{
    while (stock->dialled != NULL) {
        struct connection *connection = stock->dialled;

        remove_from(&stock->dialled, connection);
        link_free(&connection->link);
        free(connection);
    }
}

static void trim(struct stock *stock, unsigned wanted)
{
    while (stock->held > wanted)
        end_stream(
            give_stream(stock->ready != NULL ? stock->ready : stock->tried));
}

static void free_stocks(struct stock **stocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct stock *stock = stocks[i];

        if (stock == NULL)
            continue;
        drop_dialled(stock);
        trim(stock, 0);
        io_disarm(stock->warm->io, &stock->trouble_timer);
        free(stock);
    }
    free(stocks);
}

static struct stock *new_stock(struct warm *warm)
{
    struct stock *stock = mem_zalloc(sizeof(*stock));

    stock->warm = warm;
    wheel_timer_init(&stock->trouble_timer, on_trouble_timer);
    return stock;
}

/* Tables mostly keep their order, so that the search mostly ends at once. */
static struct stock *
take_former(struct warm *warm, const struct link_target *target, size_t *likely)
{
    for (size_t i = 0; i < warm->count; i++) {
        size_t index = (*likely + i) % warm->count;
        struct stock *stock = warm->stocks[index];

        if (!link_target_is_same(&warm->targets[index], target))
            continue;
        *likely = index + 1;
        warm->stocks[index] = NULL;
        return stock;
    }
    return NULL;
}

/* What is being dialled borrows the former table, and begins anew. */
static struct stock **
carry_over(struct warm *warm, const struct link_target *targets, size_t count)
{
    struct stock **stocks = mem_zalloc(count * sizeof(struct stock *));
    size_t likely = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned wanted = warm_wanted(targets[i].config);

        if (wanted == 0)
            continue;
        stocks[i] = take_former(warm, &targets[i], &likely);
        if (stocks[i] == NULL)
            stocks[i] = new_stock(warm);
        drop_dialled(stocks[i]);
        trim(stocks[i], wanted);
        stocks[i]->target = &targets[i];
    }
    return stocks;
}
