#include "orders.h"

#include "config/json_parse.h"
#include "config/json_read.h"
#include "ops/text.h"
#include "provider.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_CHARACTERS = 128
};

static struct order *find(const struct orders *orders, const char *backend)
{
    for (size_t i = 0; i < orders->count; i++) {
        if (strcmp(orders->items[i].backend, backend) == 0)
            return &orders->items[i];
    }
    return NULL;
}

static void keep(struct orders *orders, const char *backend,
                 enum backend_mode mode)
{
    struct order *order = find(orders, backend);

    if (order == NULL) {
        orders->items = mem_realloc_array(orders->items, orders->count + 1,
                                          sizeof(*orders->items));
        order = &orders->items[orders->count++];
        order->backend = mem_strdup(backend);
    }
    order->mode = mode;
}

static void take_back(struct orders *orders, const char *backend)
{
    struct order *order = find(orders, backend);

    if (order == NULL)
        return;
    free(order->backend);
    *order = orders->items[--orders->count];
}

/* Reading. */

static void read_order(struct orders *orders, const struct json_place *place,
                       const char *backend)
{
    static const struct json_choice choices[] = {
        {"draining", BACKEND_DRAINING},
        {"maintenance", BACKEND_MAINTENANCE},
    };
    unsigned mode;

    if (json_read_key(place, NAME_MAX_CHARACTERS) &&
        json_read_choice(place, choices, 2, &mode))
        keep(orders, backend, (enum backend_mode)mode);
}

static void read_each(struct orders *orders, const struct json_place *backends)
{
    if (!json_is_object(backends->value))
        json_place_fault(backends, NULL, "an object");
    for (void *at = json_object_iter(backends->value); at != NULL;
         at = json_object_iter_next(backends->value, at)) {
        const char *backend = json_object_iter_key(at);
        struct json_place place =
            json_place_member(backends, backend, json_object_iter_value(at));

        read_order(orders, &place, backend);
    }
}

static void read_orders(struct orders *orders, const struct json_place *root)
{
    struct json_members members;
    struct json_place backends;

    if (!json_read_open(&members, root))
        return;
    if (json_read_require(&members, "backends", "an object", &backends))
        read_each(orders, &backends);
    json_read_close(&members);
}

/* 0, or ENOENT where there is none. Any other errno and any fault is in
 * reasons. */
static int read_file(struct orders *orders, const char *path,
                     struct reasons *reasons)
{
    const struct file_source *files = provider_files();
    struct json_reader reader = {.file = path, .reasons = reasons};
    struct file_mention mention = {path, NULL,
                                   "a file that can be read, or none"};
    struct file_bytes file;
    int error = files->read_file(files->owner, path, &file);
    json_t *value;

    if (error == ENOENT)
        return ENOENT;
    if (error != 0) {
        file_source_complain(path, error, &mention, reasons);
        return error;
    }
    value = json_parse(&reader, file.bytes, file.len);
    file_bytes_deinit(&file);
    if (value != NULL) {
        struct json_place root = json_place_root(&reader, value);

        read_orders(orders, &root);
        json_decref(value);
    }
    return 0;
}

bool orders_read(struct orders *orders, struct reasons *reasons)
{
    size_t errors = reasons->errors;

    if (read_file(orders, orders->path, reasons) == ENOENT &&
        orders->former_path != NULL &&
        read_file(orders, orders->former_path, reasons) == 0)
        orders->is_unwritten = orders->count > 0;
    return reasons->errors == errors;
}

void orders_inherit(struct orders *orders, const char *backend,
                    enum backend_mode mode)
{
    if (find(orders, backend) != NULL)
        return;
    keep(orders, backend, mode);
    orders->is_unwritten = true;
}

/* Writing. */

/* The orders as they will be. */
static void write_orders(struct text *out, const struct orders *orders,
                         const char *backend, enum backend_mode mode)
{
    const char *comma = "";

    text_add(out, "{\"backends\": {");
    for (size_t i = 0; i < orders->count; i++) {
        const struct order *order = &orders->items[i];

        if (strcmp(order->backend, backend) == 0)
            continue;
        text_add(out, "%s\n  ", comma);
        text_add_json(out, order->backend);
        text_add(out, ": \"%s\"", backend_mode_name(order->mode));
        comma = ",";
    }
    if (mode != BACKEND_READY) {
        text_add(out, "%s\n  ", comma);
        text_add_json(out, backend);
        text_add(out, ": \"%s\"", backend_mode_name(mode));
    }
    text_add(out, "}}\n");
}

static int write_file(struct orders *orders, const char *backend,
                      enum backend_mode mode)
{
    struct text text = {.bytes = NULL};
    int error;

    write_orders(&text, orders, backend, mode);
    error = provider_write_file(orders->path, text.bytes, text.len);
    text_deinit(&text);
    if (error == 0)
        orders->is_unwritten = false;
    return error;
}

int orders_write(struct orders *orders)
{
    const struct order *first = orders->items;

    if (!orders->is_unwritten)
        return 0;
    return write_file(orders, first->backend, first->mode);
}

int orders_set(struct orders *orders, const char *backend,
               enum backend_mode mode)
{
    int error;

    if (mode == BACKEND_READY && find(orders, backend) == NULL)
        return 0;
    error = write_file(orders, backend, mode);
    if (error != 0)
        return error;
    if (mode == BACKEND_READY)
        take_back(orders, backend);
    else
        keep(orders, backend, mode);
    return 0;
}

void orders_deinit(struct orders *orders)
{
    for (size_t i = 0; i < orders->count; i++)
        free(orders->items[i].backend);
    free(orders->items);
    orders->items = NULL;
    orders->count = 0;
}
