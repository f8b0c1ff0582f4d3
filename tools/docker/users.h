/* Who has a volume mounted: a count for each ID that an engine gave. Pure; the owner's lock guards it.
 *
 * docker cp on a running container mounts with the container's own ID and unmounts once, so that a set would take the volume
 * from under the container. An engine that was killed leaves counts behind; that means no more than "stays mounted". */
#ifndef TOOTFS_DOCKER_USERS_H
#define TOOTFS_DOCKER_USERS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/err.h"

enum { USERS_MAX = 100000 }; /* IDs of one volume: leaked ones add up */

struct users {
	json_t *counts; /* ID: count */
	uint64_t total;
};

int users_init(struct users *u) MUST_CHECK;
void users_destroy(struct users *u);
int users_add(struct users *u, const char *id) MUST_CHECK; /* -ENOMEM, -ENOSPC */
void users_drop(struct users *u, const char *id);	   /* one; an unknown ID is nobody */
/* boot: the kernel's boot id. What was stored under another one is gone, as its containers are: then, or where the text is
 * broken, u has none. */
int users_read(struct users *u, const char *text, size_t length, const char *boot) MUST_CHECK;
char *users_text(const struct users *u, const char *boot); /* NULL: no memory */

#endif
