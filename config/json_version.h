/* Which JSON library this runs on. */
#ifndef CONFIG_JSON_VERSION_H
#define CONFIG_JSON_VERSION_H

/* The version of Jansson that is loaded, such as "2.14". */
const char *json_version(void);

#endif
