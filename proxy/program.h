/* The program that this process runs, as a path to start it by once more. */
#ifndef PROXY_PROGRAM_H
#define PROXY_PROGRAM_H

/* The name that it was started by, made absolute, where that still is this
 * program: so an upgrade follows a link that was turned to a newer one. Else
 * what the kernel says. Call it at the start, while the file is there; NULL
 * when nothing is known. The caller's to free. */
char *program_path(void);

#endif
