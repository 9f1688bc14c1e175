#include "state/user_database.h"

#include "base/clock.h"
#include "base/thread.h"
#include "state/snapshot.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define QUERY "SELECT pool, hold FROM users WHERE user = ?1"

struct user_lookup {
    uv_async_t done;
    struct user_lookup *next;
    struct snapshot *snapshot;
    user_lookup_handler *handler; /* NULL: nobody waits any more */
    void *owner;
    struct identity identity;
    uint64_t since_ms;
    enum user_answer answer; /* the thread's until done, as the route */
    struct route route;
};

/* A file whatever its name: no other has this number while it is open. */
struct file_number {
    dev_t device;
    ino_t inode;
};

struct user_database {
    const struct route_table *table;
    struct file_number number; /* of the open file */
    sqlite3 *file;
    sqlite3_stmt *query;
    size_t count;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wakes;
    struct user_lookup *first;
    struct user_lookup *last;
    size_t waiting;
    bool is_ending;
};

static bool open_file(struct user_database *database, const char *path);
static bool prepare(struct user_database *database);
static bool uses_index(struct user_database *database);
static bool count_users(struct user_database *database);
static void *run(void *argument);

static void complain(const struct user_database *database,
                     const char *routes_file, const char *why,
                     struct reasons *reasons)
{
    const char *path = route_table_users_file(database->table);
    char found[512];

    snprintf(found, sizeof(found), "\"%.300s\" (%.150s)", path,
             why != NULL ? why : sqlite3_errmsg(database->file));
    reasons_add(reasons, REASON_ERROR, routes_file, "$.users.file", found,
                "an SQLite database with a table users of user (its key), pool "
                "and hold");
}

static void destroy(struct user_database *database)
{
    sqlite3_finalize(database->query);
    sqlite3_close(database->file);
    pthread_cond_destroy(&database->wakes);
    pthread_mutex_destroy(&database->lock);
    free(database);
}

/* NULL is a fault that SQLite words. */
static bool set_up(struct user_database *database, const char **why_out)
{
    *why_out = NULL;
    if (!open_file(database, route_table_users_file(database->table)) ||
        !prepare(database) || !count_users(database))
        return false;
    if (!uses_index(database)) {
        *why_out = "no key or index on user: each lookup would read all";
        return false;
    }
    if (thread_start(&database->thread, run, database) != 0) {
        *why_out = "no thread to read it";
        return false;
    }
    return true;
}

struct user_database *user_database_open(const struct route_table *table,
                                         const char *routes_file,
                                         struct reasons *reasons)
{
    struct user_database *database = mem_zalloc(sizeof(*database));
    const char *why;

    database->table = table;
    pthread_mutex_init(&database->lock, NULL);
    pthread_cond_init(&database->wakes, NULL);
    if (set_up(database, &why))
        return database;
    complain(database, routes_file, why, reasons);
    destroy(database);
    return NULL;
}

static bool read_number(const char *path, struct file_number *number_out)
{
    struct stat facts;

    if (stat(path, &facts) != 0)
        return false;
    *number_out =
        (struct file_number){.device = facts.st_dev, .inode = facts.st_ino};
    return true;
}

static bool is_same_number(const struct file_number *one,
                           const struct file_number *other)
{
    return one->device == other->device && one->inode == other->inode;
}

/* Only ever read. A connection belongs to one thread at a time. A file that
 * comes between the number and the opening is taken for another by the first
 * lookup, which is on the safe side. */
static bool open_file(struct user_database *database, const char *path)
{
    (void)read_number(path, &database->number);
    if (sqlite3_open_v2(path, &database->file,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return false;
    sqlite3_busy_timeout(database->file, USER_BUSY_MS);
    return true;
}

/* False where another file took its name: the open one is what nobody writes
 * to any more. */
static bool is_in_place(const struct user_database *database)
{
    struct file_number now;

    return read_number(route_table_users_file(database->table), &now) &&
           is_same_number(&now, &database->number);
}

bool user_database_is_same(const struct user_database *one,
                           const struct user_database *other)
{
    return is_same_number(&one->number, &other->number);
}

static bool prepare(struct user_database *database)
{
    return sqlite3_prepare_v2(database->file, QUERY, -1, &database->query,
                              NULL) == SQLITE_OK;
}

/* One step of a query that has one row. */
static bool read_row(struct user_database *database, const char *query,
                     sqlite3_stmt **row_out)
{
    if (sqlite3_prepare_v2(database->file, query, -1, row_out, NULL) ==
            SQLITE_OK &&
        sqlite3_step(*row_out) == SQLITE_ROW)
        return true;
    sqlite3_finalize(*row_out);
    return false;
}

static bool uses_index(struct user_database *database)
{
    sqlite3_stmt *row;
    bool uses;

    if (!read_row(database, "EXPLAIN QUERY PLAN " QUERY, &row))
        return false;

    const unsigned char *plan = sqlite3_column_text(row, 3);

    uses = plan != NULL && strncmp((const char *)plan, "SEARCH", 6) == 0;
    sqlite3_finalize(row);
    return uses;
}

static bool count_users(struct user_database *database)
{
    sqlite3_stmt *row;

    if (!read_row(database, "SELECT count(*) FROM users", &row))
        return false;
    database->count = (size_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return true;
}

void user_database_free(struct user_database **database)
{
    struct user_database *mine = *database;

    *database = NULL;
    if (mine == NULL)
        return;
    thread_end(mine->thread, &mine->lock, &mine->wakes, &mine->is_ending);
    destroy(mine);
}

size_t user_database_count(const struct user_database *database)
{
    return database->count;
}

/* SQLite takes any word as 0, also one that whoever wrote it meant as yes. */
static bool read_hold(sqlite3_stmt *row, bool *hold_out)
{
    int type = sqlite3_column_type(row, 1);
    sqlite3_int64 hold = sqlite3_column_int64(row, 1);

    *hold_out = hold == 1;
    return type == SQLITE_NULL ||
           (type == SQLITE_INTEGER && (hold == 0 || hold == 1));
}

/* A row of a pool that is none, or of a hold that is neither yes nor no, is as
 * bad as one that cannot be read: who knows where the mail is. */
static enum user_answer take_row(struct user_database *database,
                                 struct route *route_out)
{
    const char *pool = (const char *)sqlite3_column_text(database->query, 0);
    bool hold;

    if (pool == NULL || !read_hold(database->query, &hold) ||
        !route_table_user_route(database->table, pool, hold, route_out))
        return USER_UNAVAILABLE;
    return USER_FOUND;
}

static enum user_answer look_up(struct user_database *database,
                                const struct identity *identity,
                                struct route *route_out)
{
    enum user_answer answer = USER_UNAVAILABLE;
    sqlite3_stmt *query = database->query;
    int result = sqlite3_bind_text(query, 1, identity->user,
                                   (int)identity->user_len, SQLITE_STATIC);

    if (result == SQLITE_OK)
        result = sqlite3_step(query);
    if (result == SQLITE_ROW)
        answer = take_row(database, route_out);
    else if (result == SQLITE_DONE)
        answer = USER_UNKNOWN;
    sqlite3_reset(query);
    sqlite3_clear_bindings(query);
    return answer;
}

enum user_answer user_database_ask(struct user_database *database,
                                   const struct identity *identity,
                                   struct route *route_out)
{
    if (!is_in_place(database))
        return USER_UNAVAILABLE;
    return look_up(database, identity, route_out);
}

/* NULL when there never will be one again. */
static struct user_lookup *wait_for_one(struct user_database *database)
{
    struct user_lookup *lookup;

    pthread_mutex_lock(&database->lock);
    while (database->first == NULL && !database->is_ending)
        pthread_cond_wait(&database->wakes, &database->lock);
    lookup = database->first;
    if (lookup != NULL) {
        database->first = lookup->next;
        database->waiting--;
    }
    pthread_mutex_unlock(&database->lock);
    return lookup;
}

/* Past the send the lookup may be gone. */
static void *run(void *argument)
{
    struct user_database *database = argument;
    struct user_lookup *lookup;

    while ((lookup = wait_for_one(database)) != NULL) {
        enum user_answer answer = USER_UNAVAILABLE;
        struct route route = {.kind = ROUTE_USER};

        if (clock_now_ms() - lookup->since_ms < USER_WAIT_MAX_MS)
            answer = user_database_ask(database, &lookup->identity, &route);
        pthread_mutex_lock(&database->lock);
        lookup->answer = answer;
        lookup->route = route;
        pthread_mutex_unlock(&database->lock);
        uv_async_send(&lookup->done);
    }
    return NULL;
}

static bool enqueue(struct user_database *database, struct user_lookup *lookup)
{
    bool has_room;

    pthread_mutex_lock(&database->lock);
    has_room = database->waiting < USER_LOOKUPS_MAX;
    if (has_room) {
        if (database->first == NULL)
            database->first = lookup;
        else
            database->last->next = lookup;
        database->last = lookup;
        database->waiting++;
        pthread_cond_signal(&database->wakes);
    }
    pthread_mutex_unlock(&database->lock);
    return has_room;
}

static void on_closed(uv_handle_t *handle)
{
    struct user_lookup *lookup = handle->data;

    snapshot_unref(&lookup->snapshot);
    free(lookup);
}

/* What the thread wrote is the loop's from here on. The lock says so to who
 * does not see it in uv_async_send. */
static void on_done(uv_async_t *done)
{
    struct user_lookup *lookup = done->data;
    struct user_database *database = lookup->snapshot->users;

    pthread_mutex_lock(&database->lock);
    pthread_mutex_unlock(&database->lock);
    if (lookup->handler != NULL)
        lookup->handler(lookup, lookup->owner);
    uv_close((uv_handle_t *)done, on_closed);
}

struct user_lookup *user_lookup_start(struct snapshot *snapshot,
                                      uv_loop_t *loop,
                                      const struct identity *identity,
                                      user_lookup_handler *handler, void *owner)
{
    struct user_lookup *lookup = mem_zalloc(sizeof(*lookup));

    lookup->handler = handler;
    lookup->owner = owner;
    lookup->identity = *identity;
    lookup->since_ms = clock_now_ms();
    lookup->done.data = lookup;
    lookup->snapshot = snapshot_ref(snapshot);
    uv_async_init(loop, &lookup->done, on_done);
    if (enqueue(snapshot->users, lookup))
        return lookup;
    lookup->handler = NULL;
    uv_close((uv_handle_t *)&lookup->done, on_closed);
    return NULL;
}

enum user_answer user_lookup_answer(const struct user_lookup *lookup,
                                    struct route *route_out)
{
    if (lookup->answer == USER_FOUND)
        *route_out = lookup->route;
    return lookup->answer;
}

void user_lookup_drop(struct user_lookup **lookup)
{
    struct user_lookup *mine = *lookup;

    *lookup = NULL;
    if (mine != NULL)
        mine->handler = NULL;
}
