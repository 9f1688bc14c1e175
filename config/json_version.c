#include "config/json_version.h"

#include <jansson.h>

const char *json_version(void)
{
    return jansson_version_str();
}
