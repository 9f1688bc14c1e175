/* The files of this machine. */
#include "provider.h"

#include "config/pace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A million users' file in one read would keep the processor to itself. */
enum {
    READ_MAX = 16 * 1024
};

/* Names of one folder while it is read. */
struct names {
    char **list;
    size_t count;
    size_t capacity;
};

static int read_file(void *owner, const char *path, struct file_bytes *out);
static int list_folder(void *owner, const char *path, char ***names_out);

const struct file_source *provider_files(void)
{
    static const struct file_source files = {
        .read_file = read_file,
        .list_folder = list_folder,
    };

    return &files;
}

/* 0 or an errno. */
static int check_kind(int fd, struct stat *about)
{
    if (fstat(fd, about) != 0)
        return errno;
    if (S_ISDIR(about->st_mode))
        return EISDIR;
    if (!S_ISREG(about->st_mode))
        return EINVAL;
    return (uint64_t)about->st_size > PROVIDER_FILE_MAX ? EFBIG : 0;
}

/* Bytes that may be of a key are not left behind in freed memory. */
static void grow(struct file_bytes *file, size_t *capacity)
{
    size_t wanted = *capacity * 2;
    uint8_t *bytes = mem_alloc(wanted);

    memcpy(bytes, file->bytes, file->len);
    OPENSSL_cleanse(file->bytes, file->len);
    free(file->bytes);
    file->bytes = bytes;
    *capacity = wanted;
}

/* Reads to the end, wherever that is by now. 0 or an errno. */
static int read_all(int fd, struct file_bytes *file, size_t capacity)
{
    while (file->len <= PROVIDER_FILE_MAX) {
        size_t room = capacity - file->len;
        ssize_t count = read(fd, file->bytes + file->len,
                             room < READ_MAX ? room : READ_MAX);

        pace();
        if (count == 0)
            return 0;
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        file->len += (size_t)count;
        if (file->len == capacity)
            grow(file, &capacity);
    }
    return EFBIG;
}

static int read_open_file(int fd, struct file_bytes *out)
{
    struct file_bytes file = {.bytes = NULL};
    struct stat about;
    size_t capacity;
    int error = check_kind(fd, &about);

    if (error != 0)
        return error;
    /* One byte more, so that the end is seen without growing. */
    capacity = (size_t)about.st_size + 1;
    file.bytes = mem_alloc(capacity);
    file.is_world_readable = (about.st_mode & S_IROTH) != 0;
    file.changed = about.st_mtime;
    error = read_all(fd, &file, capacity);
    if (error != 0)
        file_bytes_deinit(&file);
    else
        *out = file;
    return error;
}

static int read_file(void *owner, const char *path, struct file_bytes *out)
{
    /* Non-blocking, for a FIFO would wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int error;

    (void)owner;
    if (fd < 0)
        return errno;
    error = read_open_file(fd, out);
    close(fd);
    return error;
}

/* Keeps room for the NULL at the end. */
static void add_name(struct names *names, const char *name)
{
    if (names->count + 1 >= names->capacity) {
        names->capacity = names->capacity * 2 + 16;
        names->list = mem_realloc_array(names->list, names->capacity,
                                        sizeof(*names->list));
    }
    names->list[names->count++] = mem_strdup(name);
    names->list[names->count] = NULL;
}

/* 0 or an errno. */
static int read_names(DIR *folder, struct names *names)
{
    const struct dirent *entry;

    errno = 0;
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (names->count >= PROVIDER_NAMES_MAX)
            return EFBIG;
        add_name(names, entry->d_name);
    }
    return errno;
}

static int compare_names(const void *left, const void *right)
{
    const char *const *a = left;
    const char *const *b = right;

    return strcmp(*a, *b);
}

static int list_folder(void *owner, const char *path, char ***names_out)
{
    struct names names = {.list = mem_zalloc(sizeof(*names.list))};
    DIR *folder = opendir(path);
    int error;

    (void)owner;
    if (folder == NULL) {
        error = errno;
        free(names.list);
        return error;
    }
    error = read_names(folder, &names);
    closedir(folder);
    if (error != 0) {
        file_names_free(&names.list);
        return error;
    }
    qsort(names.list, names.count, sizeof(*names.list), compare_names);
    *names_out = names.list;
    return 0;
}

/* 0 or an errno. */
static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, bytes, len);

        if (written < 0)
            return errno;
        bytes += written;
        len -= (size_t)written;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* Beside its place first: whoever dies in the middle leaves the former one. */
int provider_write_file(const char *path, const char *bytes, size_t len)
{
    char beside[PATH_MAX];
    int error, fd;

    if (snprintf(beside, sizeof(beside), "%s.new", path) >= PATH_MAX)
        return ENAMETOOLONG;
    (void)unlink(beside);
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
              S_IRUSR | S_IWUSR);
    if (fd < 0)
        return errno;
    error = write_all(fd, bytes, len);
    close(fd);
    if (error == 0 && rename(beside, path) != 0)
        error = errno;
    if (error != 0)
        (void)unlink(beside);
    return error;
}
