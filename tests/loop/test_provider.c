/* Files and listening sockets as the kernel gives them. */
#include "provider.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum {
    WORKERS = 3
};

/* Stands before the system's own, so that a test can take a family away, or
 * see as root what others see. */
static int refused_family = -1;
static int refused_with = EAFNOSUPPORT;
static int granted; /* so many are given before */

int socket(int family, int type, int protocol)
{
    if (family == refused_family && granted-- <= 0) {
        errno = refused_with;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

static const struct io_keepalive keepalive = {
    .idle_s = 31, .interval_s = 32, .count = 3, .user_timeout_ms = 34000};

static int open_listener(const struct listener_config *config,
                         const struct io_keepalive *options, size_t workers,
                         struct provider_sockets *sockets_out, char *why)
{
    int error =
        provider_bind_listener(config, options, workers, sockets_out, why);

    return error == 0 ? provider_listen(sockets_out, why) : error;
}

/* How many are open. */
static int count_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Files. */

struct folder {
    char path[64];
};

static int make_folder(void **state)
{
    struct folder *folder = mem_zalloc(sizeof(*folder));

    snprintf(folder->path, sizeof(folder->path), "/tmp/gp-provider-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    *state = folder;
    return 0;
}

static char *path_in(const struct folder *folder, const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    return path;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"file", "pipe", "link", "large",
                                        "d",    "b",    "e",    "a",
                                        "f",    "c",    "h",    "g"};
    struct folder *folder = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlink(path_in(folder, names[i]));
    assert_int_equal(rmdir(folder->path), 0);
    free(folder);
    return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int read_file(const char *path, struct file_bytes *out)
{
    const struct file_source *files = provider_files();

    *out = (struct file_bytes){.bytes = NULL};
    return files->read_file(files->owner, path, out);
}

static int read_error(const char *path)
{
    struct file_bytes file;
    int error = read_file(path, &file);

    assert_null(file.bytes);
    return error;
}

static void a_file_is_read_whole(void **state)
{
    const char *path = path_in(*state, "file");
    struct file_bytes file;
    int before = count_descriptors();
    time_t before_s = time(NULL) - 1; /* a file's clock may be a tick late */

    write_file(path, "some bytes", 0600);

    assert_int_equal(read_file(path, &file), 0);

    assert_int_equal(count_descriptors(), before);

    assert_int_equal(file.len, 10);
    assert_memory_equal(file.bytes, "some bytes", 10);
    assert_false(file.is_world_readable);
    assert_true(file.changed >= before_s && file.changed <= time(NULL));
    file_bytes_deinit(&file);
    assert_null(file.bytes);
}

static void an_empty_file_is_a_file(void **state)
{
    const char *path = path_in(*state, "file");
    struct file_bytes file;

    write_file(path, "", 0600);

    assert_int_equal(read_file(path, &file), 0);

    assert_int_equal(file.len, 0);
    file_bytes_deinit(&file);
}

/* Files of /proc say that their size is 0. */
static void a_file_that_hides_its_size_is_read_whole(void **state)
{
    struct file_bytes file;

    (void)state;
    assert_int_equal(read_file("/proc/self/smaps", &file), 0);

    assert_true(file.len > 4096);
    assert_memory_equal(file.bytes + file.len - 1, "\n", 1);
    file_bytes_deinit(&file);
}

static void a_file_for_everybody_is_known_as_such(void **state)
{
    const char *path = path_in(*state, "file");
    struct file_bytes file;

    write_file(path, "x", 0644);
    assert_int_equal(read_file(path, &file), 0);
    assert_true(file.is_world_readable);
    file_bytes_deinit(&file);

    write_file(path, "x", 0640);
    assert_int_equal(read_file(path, &file), 0);
    assert_false(file.is_world_readable);
    file_bytes_deinit(&file);
}

static void a_link_is_followed(void **state)
{
    struct file_bytes file;
    char target[128];

    snprintf(target, sizeof(target), "%s", path_in(*state, "file"));
    write_file(target, "linked", 0600);
    assert_int_equal(symlink(target, path_in(*state, "link")), 0);

    assert_int_equal(read_file(path_in(*state, "link"), &file), 0);

    assert_int_equal(file.len, 6);
    file_bytes_deinit(&file);
}

static void only_regular_files_are_read(void **state)
{
    const char *pipe = path_in(*state, "pipe");
    int before = count_descriptors();

    assert_int_equal(mkfifo(pipe, 0600), 0);

    assert_int_equal(read_error(pipe), EINVAL);
    assert_int_equal(read_error("/dev/zero"), EINVAL);
    assert_int_equal(read_error("/tmp"), EISDIR);
    assert_int_equal(read_error(path_in(*state, "absent")), ENOENT);
    assert_int_equal(count_descriptors(), before);
}

static void a_file_over_the_bound_is_not_read(void **state)
{
    const char *path = path_in(*state, "large");

    write_file(path, "", 0600);
    assert_int_equal(truncate(path, (off_t)PROVIDER_FILE_MAX + 1), 0);

    assert_int_equal(read_error(path), EFBIG);
}

static void a_folder_is_listed_in_order(void **state)
{
    const struct file_source *files = provider_files();
    struct folder *folder = *state;
    char **names = NULL;

    for (const char *letter = "dbeafchg"; *letter != '\0'; letter++) {
        const char name[] = {*letter, '\0'};

        write_file(path_in(folder, name), "", 0600);
    }

    assert_int_equal(files->list_folder(files->owner, folder->path, &names), 0);

    for (size_t i = 0; i < 8; i++) {
        const char name[] = {"abcdefgh"[i], '\0'};

        assert_string_equal(names[i], name);
    }
    assert_null(names[8]);
    file_names_free(&names);
    assert_null(names);
}

static void an_empty_folder_has_no_names(void **state)
{
    const struct file_source *files = provider_files();
    struct folder *folder = *state;
    char **names = NULL;

    assert_int_equal(files->list_folder(files->owner, folder->path, &names), 0);

    assert_null(names[0]);
    file_names_free(&names);
}

static void what_is_no_folder_is_not_listed(void **state)
{
    const struct file_source *files = provider_files();
    const char *path = path_in(*state, "file");
    char **names = NULL;

    write_file(path, "", 0600);

    assert_int_equal(files->list_folder(files->owner, path, &names), ENOTDIR);
    assert_int_equal(files->list_folder(files->owner, "/absent", &names),
                     ENOENT);
    assert_null(names);
}

/* Sockets. */

/* A port that is free on all addresses of both families. */
static uint16_t free_port(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 name = {.sin6_family = AF_INET6};
    socklen_t len = sizeof(name);

    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    close(fd);
    return ntohs(name.sin6_port);
}

static char loopback[] = "127.0.0.1";
static char any[] = "*";
static char any6[] = "::";

static struct listener_config listener_on(char *address)
{
    return (struct listener_config){
        .address = address, .port = free_port(), .tls = LISTENER_TLS_IMPLICIT};
}

static struct provider_sockets open_good(const struct listener_config *config)
{
    struct provider_sockets sockets;
    char why[PROVIDER_WHY_MAX] = "";
    int error = open_listener(config, &keepalive, WORKERS, &sockets, why);

    if (error != 0)
        fail_msg("%s", why);
    return sockets;
}

static int option_of(int fd, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static int connect_to(int family, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(port),
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = (int)syscall(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = family == AF_INET
                     ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
                     : connect(fd, (struct sockaddr *)&v6, sizeof(v6));

    if (result == 0)
        return fd;
    close(fd);
    return -1;
}

static void a_listener_gets_a_socket_for_each_worker(void **state)
{
    struct listener_config config = listener_on(loopback);
    struct provider_sockets sockets = open_good(&config);

    (void)state;
    assert_int_equal(sockets.family_count, 1);
    assert_int_equal(sockets.per_family, WORKERS);
    assert_int_equal(sockets.addresses[0].port, config.port);
    assert_true(address_is_loopback(&sockets.addresses[0]));
    for (size_t i = 0; i < WORKERS; i++) {
        int fd = sockets.fds[i];

        assert_true(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN));
        assert_true(option_of(fd, SOL_SOCKET, SO_REUSEPORT));
        assert_true(option_of(fd, SOL_SOCKET, SO_REUSEADDR));
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    provider_sockets_deinit(&sockets);
    assert_null(sockets.fds);
}

static void accepted_sockets_inherit_the_options(void **state)
{
    struct listener_config config = listener_on(loopback);
    struct provider_sockets sockets;
    struct pollfd waiting;
    int client;
    int accepted;

    (void)state;
    config.tls = LISTENER_TLS_STARTTLS;
    assert_int_equal(open_listener(&config, &keepalive, 1, &sockets,
                                   (char[PROVIDER_WHY_MAX]){""}),
                     0);
    client = connect_to(AF_INET, config.port);
    waiting = (struct pollfd){.fd = sockets.fds[0], .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, -1), 1);
    accepted = accept(sockets.fds[0], NULL, NULL);
    assert_true(accepted >= 0);

    assert_true(option_of(accepted, IPPROTO_TCP, TCP_NODELAY));
    assert_true(option_of(accepted, SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 31);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_KEEPINTVL), 32);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_KEEPCNT), 3);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT), 34000);

    close(accepted);
    close(client);
    provider_sockets_deinit(&sockets);
}

/* With STARTTLS the server speaks first, and would never be asked to. */
static void only_implicit_listeners_wait_for_data(void **state)
{
    struct listener_config config = listener_on(loopback);
    struct provider_sockets implicit = open_good(&config);
    struct provider_sockets starttls;

    (void)state;
    config.port = free_port();
    config.tls = LISTENER_TLS_STARTTLS;
    starttls = open_good(&config);

    for (size_t i = 0; i < WORKERS; i++) {
        assert_in_range(
            option_of(implicit.fds[i], IPPROTO_TCP, TCP_DEFER_ACCEPT), 1, 15);
        assert_int_equal(
            option_of(starttls.fds[i], IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    }
    provider_sockets_deinit(&implicit);
    provider_sockets_deinit(&starttls);
}

static void a_star_is_both_families(void **state)
{
    struct listener_config config = listener_on(any);
    struct provider_sockets sockets = open_good(&config);
    int v4 = connect_to(AF_INET, config.port);
    int v6 = connect_to(AF_INET6, config.port);

    (void)state;
    assert_int_equal(sockets.family_count, 2);
    assert_false(sockets.addresses[0].is_ipv6);
    assert_true(sockets.addresses[1].is_ipv6);
    assert_true(v4 >= 0);
    assert_true(v6 >= 0);
    for (size_t i = 0; i < WORKERS; i++)
        assert_true(
            option_of(sockets.fds[WORKERS + i], IPPROTO_IPV6, IPV6_V6ONLY));

    close(v4);
    close(v6);
    provider_sockets_deinit(&sockets);
}

static void two_colons_are_ipv6_only(void **state)
{
    struct listener_config config = listener_on(any6);
    struct provider_sockets sockets = open_good(&config);
    int v6 = connect_to(AF_INET6, config.port);

    (void)state;
    assert_int_equal(sockets.family_count, 1);
    assert_true(sockets.addresses[0].is_ipv6);
    assert_true(v6 >= 0);
    assert_int_equal(connect_to(AF_INET, config.port), -1);

    close(v6);
    provider_sockets_deinit(&sockets);
}

static void a_star_passes_over_a_missing_family(void **state)
{
    static const int families[] = {AF_INET6, AF_INET};
    struct listener_config config = listener_on(any);
    char why[PROVIDER_WHY_MAX];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct provider_sockets sockets;

        refused_family = families[i];
        sockets = open_good(&config);
        assert_int_equal(provider_probe_listener(&config, why), UV_EADDRINUSE);
        refused_family = -1;

        assert_int_equal(sockets.family_count, 1);
        assert_int_equal(sockets.addresses[0].is_ipv6, families[i] == AF_INET);
        provider_sockets_deinit(&sockets);
    }
}

static void a_missing_family_that_is_named_is_an_error(void **state)
{
    struct listener_config config = listener_on(any6);
    struct provider_sockets sockets;
    char why[PROVIDER_WHY_MAX];
    char expected[PROVIDER_WHY_MAX];

    (void)state;
    refused_family = AF_INET6;
    assert_int_equal(open_listener(&config, &keepalive, WORKERS, &sockets, why),
                     UV_EAFNOSUPPORT);
    refused_family = -1;

    snprintf(expected, sizeof(expected),
             "cannot listen on [::]:%u: Address family not supported by "
             "protocol",
             (unsigned)config.port);
    assert_string_equal(why, expected);
}

static void a_foreign_address_is_told(void **state)
{
    static char address[] = "192.0.2.1";
    struct listener_config config = listener_on(address);
    struct provider_sockets sockets;
    char why[PROVIDER_WHY_MAX];

    (void)state;
    assert_int_equal(open_listener(&config, &keepalive, WORKERS, &sockets, why),
                     UV_EADDRNOTAVAIL);

    assert_non_null(strstr(why, "cannot listen on 192.0.2.1:"));
    assert_non_null(strstr(why, "it is no address of this machine"));
}

static void a_low_port_asks_for_its_capability(void **state)
{
    struct listener_config config = listener_on(loopback);
    struct provider_sockets sockets;
    char why[PROVIDER_WHY_MAX];

    (void)state;
    config.port = 993;
    refused_family = AF_INET;
    refused_with = EACCES;
    assert_int_equal(open_listener(&config, &keepalive, WORKERS, &sockets, why),
                     UV_EACCES);
    refused_family = -1;
    refused_with = EAFNOSUPPORT;

    assert_string_equal(why, "cannot listen on 127.0.0.1:993: Permission "
                             "denied; binding below 1024 needs "
                             "CAP_NET_BIND_SERVICE");
}

static void a_failure_leaves_no_descriptor(void **state)
{
    struct listener_config config = listener_on(any);
    int taken = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in6 name = {.sin6_family = AF_INET6,
                                .sin6_port = htons(config.port)};
    struct provider_sockets sockets;
    char why[PROVIDER_WHY_MAX];
    int before;

    (void)state;
    /* IPv4 can be had, IPv6 not. */
    setsockopt(taken, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    assert_int_equal(bind(taken, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(taken, 1), 0);
    before = count_descriptors();

    assert_int_equal(open_listener(&config, &keepalive, WORKERS, &sockets, why),
                     UV_EADDRINUSE);

    assert_non_null(strstr(why, "cannot listen on [::]:"));
    assert_non_null(strstr(why, "another program listens there"));
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(connect_to(AF_INET, config.port), -1);
    close(taken);
}

static void a_failure_halfway_leaves_no_descriptor(void **state)
{
    struct listener_config config = listener_on(loopback);
    struct provider_sockets sockets;
    char why[PROVIDER_WHY_MAX];
    int before = count_descriptors();

    (void)state;
    refused_family = AF_INET;
    refused_with = EMFILE;
    granted = WORKERS - 1;
    assert_int_equal(open_listener(&config, &keepalive, WORKERS, &sockets, why),
                     UV_EMFILE);
    refused_family = -1;
    refused_with = EAFNOSUPPORT;
    granted = 0;

    assert_non_null(strstr(why, "Too many open files"));
    assert_int_equal(count_descriptors(), before);
}

static void a_probe_finds_those_who_share_the_port(void **state)
{
    struct listener_config config = listener_on(loopback);
    struct provider_sockets sockets;
    char why[PROVIDER_WHY_MAX] = "";
    int before = count_descriptors();

    (void)state;
    assert_int_equal(provider_probe_listener(&config, why), 0);
    assert_int_equal(count_descriptors(), before);

    sockets = open_good(&config);
    assert_int_equal(provider_probe_listener(&config, why), UV_EADDRINUSE);
    assert_non_null(strstr(why, "another program listens there"));
    provider_sockets_deinit(&sockets);
}

static void sockets_given_away_are_not_closed(void **state)
{
    struct listener_config config = listener_on(loopback);
    struct provider_sockets sockets = open_good(&config);
    int given = sockets.fds[1];

    (void)state;
    sockets.fds[1] = -1;

    provider_sockets_deinit(&sockets);

    assert_true(fcntl(given, F_GETFD) >= 0);
    close(given);
}

#define IN_FOLDER(claim)                                                       \
    cmocka_unit_test_setup_teardown(claim, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_file_is_read_whole),
        IN_FOLDER(an_empty_file_is_a_file),
        cmocka_unit_test(a_file_that_hides_its_size_is_read_whole),
        IN_FOLDER(a_file_for_everybody_is_known_as_such),
        IN_FOLDER(a_link_is_followed),
        IN_FOLDER(only_regular_files_are_read),
        IN_FOLDER(a_file_over_the_bound_is_not_read),
        IN_FOLDER(a_folder_is_listed_in_order),
        IN_FOLDER(an_empty_folder_has_no_names),
        IN_FOLDER(what_is_no_folder_is_not_listed),
        cmocka_unit_test(a_listener_gets_a_socket_for_each_worker),
        cmocka_unit_test(accepted_sockets_inherit_the_options),
        cmocka_unit_test(only_implicit_listeners_wait_for_data),
        cmocka_unit_test(a_star_is_both_families),
        cmocka_unit_test(two_colons_are_ipv6_only),
        cmocka_unit_test(a_star_passes_over_a_missing_family),
        cmocka_unit_test(a_missing_family_that_is_named_is_an_error),
        cmocka_unit_test(a_foreign_address_is_told),
        cmocka_unit_test(a_low_port_asks_for_its_capability),
        cmocka_unit_test(a_failure_leaves_no_descriptor),
        cmocka_unit_test(a_failure_halfway_leaves_no_descriptor),
        cmocka_unit_test(a_probe_finds_those_who_share_the_port),
        cmocka_unit_test(sockets_given_away_are_not_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
