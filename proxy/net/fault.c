#include "net/fault.h"

#ifdef GATEPOST_FAULTS

#include <pthread.h>
#include <stdlib.h>

static size_t read_max;
static size_t write_max;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static size_t number_in(const char *name)
{
    const char *text = getenv(name);

    return text == NULL ? 0 : (size_t)strtoul(text, NULL, 10);
}

static void read_environment(void)
{
    read_max = number_in("GATEPOST_FAULT_READ");
    write_max = number_in("GATEPOST_FAULT_WRITE");
}

size_t fault_limit_read(size_t len)
{
    pthread_once(&once, read_environment);
    return read_max != 0 && read_max < len ? read_max : len;
}

size_t fault_limit_write(size_t len)
{
    pthread_once(&once, read_environment);
    return write_max != 0 && write_max < len ? write_max : len;
}

#else

/* ISO C wants something in every translation unit. */
typedef int fault_is_not_built;

#endif
