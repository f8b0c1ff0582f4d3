/* Small texts by name, one file each: whole or not there, whatever ends this process or the power. Names are volumes' names
 * (request_name_good). Calls for different names may run at the same time. */
#ifndef TOOTFS_DOCKER_TEXTS_H
#define TOOTFS_DOCKER_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include "cache/base/err.h"

enum { TEXTS_BYTES_MAX = 16 << 20 };

struct texts;

/* Makes the folder, 0700, and those above it. durable: each change survives a power cut when its call has returned. */
int texts_open(const char *folder, bool durable, struct texts **out) MUST_CHECK;
void texts_close(struct texts **texts);
int texts_put(struct texts *s, const char *name, const char *text) MUST_CHECK;
int texts_drop(struct texts *s, const char *name) MUST_CHECK; /* 0 also where there is none */
/* -ENOENT. *text is malloc'ed and NUL-terminated. */
int texts_get(struct texts *s, const char *name, char **text, size_t *length) MUST_CHECK;
/* Every name; stops at the first visit that returns non-zero, and returns that. */
typedef int texts_visit(void *arg, const char *name);
int texts_each(struct texts *s, texts_visit *visit, void *arg) MUST_CHECK;

#endif
