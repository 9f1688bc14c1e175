/* What the log's ring costs in memory; test_log.c has what it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log_ring.h"

#include <sys/resource.h>
#include <unistd.h>

enum {
    LINE_SIZE = 2000,
    STOP_MS = 10000,
    COME_BACK_US = 3000
};

static size_t report_nothing(uint64_t lost, char *out, size_t size)
{
    (void)lost;
    (void)out;
    (void)size;
    return 0;
}

/* Puts a line and waits until it is written, and then for the moment that the
 * writer takes to come back from that, so that the ring is empty. */
static bool pass_a_line(int reader)
{
    char line[LINE_SIZE];
    size_t len = 0;

    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\n';
    log_ring_put(line, sizeof(line));
    while (len < sizeof(line)) {
        ssize_t result = read(reader, line, sizeof(line) - len);

        if (result <= 0)
            return false;
        len += (size_t)result;
    }
    usleep(COME_BACK_US);
    return true;
}

static unsigned pass_lines(int reader, unsigned count)
{
    unsigned passed = 0;

    while (passed < count && pass_a_line(reader))
        passed++;
    return passed;
}

static long page_faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static void lines_that_never_wait_use_few_pages(void **state)
{
    int real_stderr = dup(STDERR_FILENO);
    unsigned passed = 0;
    long before;
    long faults;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    if (log_ring_start(report_nothing))
        passed = pass_lines(fds[0], 4);
    before = page_faults();
    if (passed == 4)
        passed = pass_lines(fds[0], 64);
    faults = page_faults() - before;
    log_ring_stop(STOP_MS);
    dup2(real_stderr, STDERR_FILENO);

    assert_int_equal(passed, 64);
    /* Those lines one after the other are 32 pages. */
    assert_in_range(faults, 0, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_never_wait_use_few_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
