/* The sockets of all workers, got together on the main loop. */
#include "socket_call.h"

#include "worker.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    WORKERS = 3,
    OF_EACH = 4
};

/* Stands for a worker: a thread that answers, now or when it is let. */
struct worker {
    uv_thread_t thread;
    uv_sem_t may_answer;
    struct socket_call *call;
    int error;
    bool has_ended;
};

/* One run. */
struct gathering {
    uv_loop_t loop;
    struct worker workers[WORKERS];
    struct worker *list[WORKERS];
    struct socket_call *call;
    unsigned told;
    int error;
    size_t count;
    int first; /* the one that the handler keeps */
};

static void answer(void *argument)
{
    struct worker *worker = argument;

    uv_sem_wait(&worker->may_answer);
    if (worker->has_ended) {
        socket_call_unref(&worker->call);
        return;
    }
    for (size_t i = 0; i < OF_EACH; i++)
        socket_call_add(worker->call, open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (worker->error != 0)
        socket_call_add(worker->call, worker->error);
    socket_call_answer(&worker->call);
}

/* Stands before the workers' own. */
void worker_call_sockets(struct worker *worker, struct socket_call *call)
{
    worker->call = call;
    assert_int_equal(uv_thread_create(&worker->thread, answer, worker), 0);
}

static void on_sockets(int error, struct inherited *sockets, void *owner)
{
    struct gathering *gathering = owner;

    gathering->told++;
    gathering->error = error;
    gathering->count = sockets->count;
    gathering->call = NULL;
    if (sockets->count > 0) {
        gathering->first = sockets->fds[0];
        sockets->fds[0] = -1;
    }
}

static size_t count_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int begin(void **state)
{
    struct gathering *gathering = mem_zalloc(sizeof(*gathering));

    gathering->first = -1;
    assert_int_equal(uv_loop_init(&gathering->loop), 0);
    for (size_t i = 0; i < WORKERS; i++) {
        gathering->list[i] = &gathering->workers[i];
        uv_sem_init(&gathering->workers[i].may_answer, 0);
    }
    *state = gathering;
    return 0;
}

static int end(void **state)
{
    struct gathering *gathering = *state;

    uv_run(&gathering->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&gathering->loop), 0);
    for (size_t i = 0; i < WORKERS; i++)
        uv_sem_destroy(&gathering->workers[i].may_answer);
    free(gathering);
    return 0;
}

static void call_for(struct gathering *gathering)
{
    gathering->call = socket_call_start(&gathering->loop, gathering->list,
                                        WORKERS, on_sockets, gathering);
}

static void let_all_answer(struct gathering *gathering)
{
    for (size_t i = 0; i < WORKERS; i++) {
        uv_sem_post(&gathering->workers[i].may_answer);
        uv_thread_join(&gathering->workers[i].thread);
    }
}

static void all_are_told_together(void **state)
{
    struct gathering *gathering = *state;
    size_t before;

    call_for(gathering);
    before = count_descriptors();
    let_all_answer(gathering);
    uv_run(&gathering->loop, UV_RUN_DEFAULT);

    assert_int_equal(gathering->told, 1);
    assert_int_equal(gathering->error, 0);
    assert_int_equal(gathering->count, WORKERS * OF_EACH);
    assert_int_equal(count_descriptors(), before + 1);
    assert_int_equal(close(gathering->first), 0);
}

static void nobody_is_told_before_the_last_answer(void **state)
{
    struct gathering *gathering = *state;

    call_for(gathering);
    for (size_t i = 0; i + 1 < WORKERS; i++) {
        uv_sem_post(&gathering->workers[i].may_answer);
        uv_thread_join(&gathering->workers[i].thread);
    }
    uv_run(&gathering->loop, UV_RUN_NOWAIT);
    assert_int_equal(gathering->told, 0);
    uv_sem_post(&gathering->workers[WORKERS - 1].may_answer);
    uv_thread_join(&gathering->workers[WORKERS - 1].thread);
    uv_run(&gathering->loop, UV_RUN_DEFAULT);

    assert_int_equal(gathering->told, 1);
    close(gathering->first);
}

static void an_error_of_one_is_the_answer_of_all(void **state)
{
    struct gathering *gathering = *state;
    size_t before;

    gathering->workers[1].error = UV_EMFILE;
    call_for(gathering);
    before = count_descriptors();
    let_all_answer(gathering);
    uv_run(&gathering->loop, UV_RUN_DEFAULT);

    assert_int_equal(gathering->told, 1);
    assert_int_equal(gathering->error, UV_EMFILE);
    assert_int_equal(gathering->count, 0);
    assert_int_equal(count_descriptors(), before);
}

static void a_call_that_was_cancelled_takes_late_answers(void **state)
{
    struct gathering *gathering = *state;
    size_t before;

    call_for(gathering);
    before = count_descriptors();

    socket_call_cancel(&gathering->call);
    assert_null(gathering->call);
    uv_run(&gathering->loop, UV_RUN_DEFAULT);
    let_all_answer(gathering);

    assert_int_equal(gathering->told, 0);
    assert_int_equal(count_descriptors(), before);
}

static void one_that_answered_may_still_be_cancelled(void **state)
{
    struct gathering *gathering = *state;

    call_for(gathering);
    let_all_answer(gathering);

    socket_call_cancel(&gathering->call);
    uv_run(&gathering->loop, UV_RUN_DEFAULT);

    assert_int_equal(gathering->told, 0);
}

static void a_worker_that_ended_leaves_it_unanswered(void **state)
{
    struct gathering *gathering = *state;

    gathering->workers[2].has_ended = true;
    call_for(gathering);
    let_all_answer(gathering);
    uv_run(&gathering->loop, UV_RUN_NOWAIT);

    assert_int_equal(gathering->told, 0);
    socket_call_cancel(&gathering->call);
}

#define GATHERED(claim) cmocka_unit_test_setup_teardown(claim, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATHERED(all_are_told_together),
        GATHERED(nobody_is_told_before_the_last_answer),
        GATHERED(an_error_of_one_is_the_answer_of_all),
        GATHERED(a_call_that_was_cancelled_takes_late_answers),
        GATHERED(one_that_answered_may_still_be_cancelled),
        GATHERED(a_worker_that_ended_leaves_it_unanswered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
