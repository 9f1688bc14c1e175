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
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_SIZE = 2000,
    FEW = 8,
    MANY = 200,
    TRIES = 10,
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

/* Page faults while 64 lines pass through a ring that is new; many if anything
 * goes wrong. */
static long faults_of_a_new_ring(void)
{
    unsigned passed = 0;
    long before;
    int fds[2];

    if (pipe(fds) != 0 || dup2(fds[1], STDERR_FILENO) < 0 ||
        !log_ring_start(report_nothing))
        return MANY;
    passed = pass_lines(fds[0], 4);
    before = page_faults();
    passed += pass_lines(fds[0], 64);
    return passed == 68 ? page_faults() - before : MANY;
}

/* In a process of its own, since a ring keeps the pages that it once used. */
static long faults_apart(void)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        long faults = faults_of_a_new_ring();

        _exit(faults < MANY ? (int)faults : MANY);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return MANY;
    return WEXITSTATUS(status);
}

/* Where the machine is busy the writer comes back late, and the ring is not
 * empty when the next line is put: the best of some tries counts. */
static void lines_that_never_wait_use_few_pages(void **state)
{
    long least = MANY;

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its shadow of our pages is counted among the faults */
#endif
    for (int i = 0; i < TRIES && least > FEW; i++) {
        long faults = faults_apart();

        least = faults < least ? faults : least;
    }

    /* Those lines one after the other are 32 pages. */
    assert_in_range(least, 0, FEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_never_wait_use_few_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
