/* The files of the certificates that clients are shown, as the settings name
 * them: pairs of files, and folders full of them; and the file of those who
 * sign what clients show. */
#ifndef STATE_CERTIFICATE_FILES_H
#define STATE_CERTIFICATE_FILES_H

#include "config/mem.h"
#include "config/reason.h"
#include "config/settings.h"
#include "net/tls_server_context.h"
#include "state/file_source.h"

#include <stdbool.h>
#include <stddef.h>

struct certificate_pair {
    char *chain_name;
    char *key_name;
    struct file_bytes chain;
    struct file_bytes key;
};

struct certificate_files {
    struct certificate_pair *pairs;
    struct tls_server_certificate *certificates; /* each lent by its pair */
    size_t count;
    struct pem_file client_ca; /* without a name if the settings name none */
    struct file_bytes client_ca_bytes;
    char *client_ca_name;
};

/* Reads them all, in the order of the settings and within a folder sorted by
 * name: every subfolder that holds fullchain.pem and privkey.pem, as certbot
 * lays them out, and every NAME.crt or NAME.pem with its NAME.key. Names that
 * begin with a dot are passed over. Half a pair in a folder is a warning, a
 * folder without a pair an error; so is any file that cannot be read. A key
 * that everybody may read is a warning. Returns false after any error; files
 * then holds what could be read. */
MUST_USE bool certificate_files_read(struct certificate_files *files,
                                     const struct file_source *source,
                                     const struct settings *settings,
                                     struct reasons *reasons);

/* Wipes and frees. */
void certificate_files_deinit(struct certificate_files *files);

#endif
