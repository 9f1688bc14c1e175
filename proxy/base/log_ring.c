#include "base/log_ring.h"

#include "base/log.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* A pipe takes so much whole or not at all, so the lines of two processes
 * that share standard error never mix. */
enum {
    CHUNK_SIZE = PIPE_BUF
};
_Static_assert((int)LOG_LINE_MAX <= (int)CHUNK_SIZE, "a line fits a chunk");

/* After a write the writer looks again unasked: under load lines gather for
 * that long and nobody needs to wake it. */
enum {
    NAP_MS = 10
};

enum writer_state {
    WRITER_NONE,
    WRITER_WRITES,
    WRITER_NAPS,  /* woken only when the ring is half full */
    WRITER_SLEEPS /* woken by any line */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the writer */
    pthread_cond_t gone; /* the writer has ended */
    enum writer_state writer;
    bool is_stopping;
    log_ring_report *report;
    uint64_t put;   /* bytes since it was last empty */
    uint64_t taken; /* those of them that were taken */
    uint64_t lost;  /* lines, not yet reported */
    char bytes[LOG_RING_SIZE];
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Only the writer's, or that of whoever writes while there is none. A write
 * that failed in the middle of a line leaves the next to begin with an end of
 * line. */
struct output {
    bool is_torn;
    char bytes[1 + CHUNK_SIZE];
};

static void *run_writer(void *unused);

static void init_conditions(void)
{
    thread_condition_init(&ring.wake);
    thread_condition_init(&ring.gone);
}

bool log_ring_start(log_ring_report *report)
{
    static pthread_once_t conditions = PTHREAD_ONCE_INIT;
    pthread_t thread;
    bool is_started = false;

    pthread_once(&conditions, init_conditions);
    pthread_mutex_lock(&ring.lock);
    if (ring.writer == WRITER_NONE) {
        ring.report = report;
        ring.is_stopping = false;
        is_started = thread_start(&thread, run_writer, NULL) == 0;
    }
    if (is_started) {
        pthread_detach(thread);
        ring.writer = WRITER_WRITES;
    }
    pthread_mutex_unlock(&ring.lock);
    return is_started;
}

void log_ring_stop(uint64_t wait_ms)
{
    struct timespec deadline = thread_deadline(wait_ms);
    int error = 0;

    pthread_mutex_lock(&ring.lock);
    ring.is_stopping = true;
    if (ring.writer != WRITER_NONE)
        pthread_cond_signal(&ring.wake);
    while (ring.writer != WRITER_NONE && error == 0)
        error = pthread_cond_timedwait(&ring.gone, &ring.lock, &deadline);
    pthread_mutex_unlock(&ring.lock);
}

/* Below, a name ending in _locked is called with the lock held. */

/* A quiet server touches only the first of the ring's pages. */
static void rewind_locked(void)
{
    ring.put = 0;
    ring.taken = 0;
}

static void copy_in_locked(const char *line, size_t len)
{
    size_t at = ring.put % LOG_RING_SIZE;
    size_t first = LOG_RING_SIZE - at < len ? LOG_RING_SIZE - at : len;

    memcpy(ring.bytes + at, line, first);
    memcpy(ring.bytes, line + first, len - first);
    ring.put += len;
}

static bool wants_waking_locked(void)
{
    if (ring.writer == WRITER_SLEEPS)
        return true;
    return ring.writer == WRITER_NAPS &&
           ring.put - ring.taken > LOG_RING_SIZE / 2;
}

static bool put_locked(const char *line, size_t len)
{
    bool wakes;

    if (LOG_RING_SIZE - (ring.put - ring.taken) < len) {
        ring.lost++;
        return false;
    }
    if (ring.put == ring.taken)
        rewind_locked();
    copy_in_locked(line, len);
    wakes = wants_waking_locked();
    if (wakes)
        ring.writer = WRITER_WRITES;
    return wakes;
}

static size_t write_out(const char *bytes, size_t len);

void log_ring_put(const char *line, size_t len)
{
    bool has_writer;
    bool wakes = false;

    assert(len <= LOG_LINE_MAX);
    pthread_mutex_lock(&ring.lock);
    has_writer = ring.writer != WRITER_NONE;
    if (has_writer)
        wakes = put_locked(line, len);
    pthread_mutex_unlock(&ring.lock);
    if (wakes)
        pthread_cond_signal(&ring.wake);
    if (!has_writer)
        write_out(line, len);
}

/* Waits for room where somebody made standard error non-blocking. */
static bool can_go_on(int error)
{
    struct pollfd waits = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (error == EAGAIN)
        poll(&waits, 1, -1);
    return error == EAGAIN || error == EINTR;
}

/* Returns how much was written; less than len only after an error. */
static size_t write_out(const char *bytes, size_t len)
{
    size_t written = 0;

    while (written < len) {
        ssize_t result = write(STDERR_FILENO, bytes + written, len - written);

        if (result > 0)
            written += (size_t)result;
        else if (result == 0 || !can_go_on(errno))
            break;
    }
    return written;
}

static uint64_t count_lines(const char *bytes, size_t len)
{
    uint64_t count = 0;

    for (size_t i = 0; i < len; i++)
        count += bytes[i] == '\n';
    return count;
}

/* Writes the lines at output->bytes + 1; returns how many were lost. */
static uint64_t write_lines(struct output *output, size_t len)
{
    size_t skipped = output->is_torn ? 0 : 1;
    const char *end = output->bytes + 1 + len;
    const char *from = output->bytes + skipped;
    const char *stop;

    output->bytes[0] = '\n';
    stop = from + write_out(from, (size_t)(end - from));
    if (stop > from)
        output->is_torn = stop[-1] != '\n';
    else /* the end of the torn line is no line of its own */
        stop = output->bytes + 1;
    return count_lines(stop, (size_t)(end - stop));
}

/* Takes as many whole lines as fit a chunk. */
static size_t take_lines_locked(struct output *output)
{
    size_t len = ring.put - ring.taken;
    size_t at = ring.taken % LOG_RING_SIZE;
    char *to = output->bytes + 1;
    size_t first;

    if (len > CHUNK_SIZE)
        len = CHUNK_SIZE;
    first = LOG_RING_SIZE - at < len ? LOG_RING_SIZE - at : len;
    memcpy(to, ring.bytes + at, first);
    memcpy(to + first, ring.bytes, len - first);
    while (len > 0 && to[len - 1] != '\n')
        len--;
    ring.taken += len;
    return len;
}

static void write_ring_locked(struct output *output)
{
    while (ring.put != ring.taken) {
        size_t len = take_lines_locked(output);
        uint64_t lost;

        pthread_mutex_unlock(&ring.lock);
        lost = write_lines(output, len);
        pthread_mutex_lock(&ring.lock);
        ring.lost += lost;
    }
}

static void report_lost_locked(struct output *output)
{
    uint64_t lost = ring.lost;
    size_t len;

    if (lost == 0)
        return;
    ring.lost = 0;
    pthread_mutex_unlock(&ring.lock);
    len = ring.report(lost, output->bytes + 1, CHUNK_SIZE);
    if (write_lines(output, len) == 0)
        lost = 0;
    pthread_mutex_lock(&ring.lock);
    ring.lost += lost;
}

static void wait_locked(void)
{
    struct timespec nap = thread_deadline(NAP_MS);

    ring.writer = WRITER_NAPS;
    while (ring.writer == WRITER_NAPS && !ring.is_stopping &&
           pthread_cond_timedwait(&ring.wake, &ring.lock, &nap) == 0)
        ;
    while (ring.put == ring.taken && !ring.is_stopping) {
        ring.writer = WRITER_SLEEPS;
        pthread_cond_wait(&ring.wake, &ring.lock);
    }
    ring.writer = WRITER_WRITES;
}

static void *run_writer(void *unused)
{
    struct output output = {.is_torn = false};

    (void)unused;
    pthread_mutex_lock(&ring.lock);
    for (;;) {
        write_ring_locked(&output);
        report_lost_locked(&output);
        if (ring.put != ring.taken)
            continue;
        if (ring.is_stopping)
            break;
        wait_locked();
    }
    ring.writer = WRITER_NONE;
    pthread_cond_broadcast(&ring.gone);
    pthread_mutex_unlock(&ring.lock);
    return NULL;
}
