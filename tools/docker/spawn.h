/* Starts filesystem daemons, which live on when this process ends. Thread-safe. */
#ifndef TOOTFS_DOCKER_SPAWN_H
#define TOOTFS_DOCKER_SPAWN_H

#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

struct spawn {
	const char *program, *spec, *mountpoint, *options;
	int64_t timeout_ms;
};

/* Returns when the mount is ready, or why not: -EIO, with what the program said; -ETIMEDOUT. */
int spawn_mount(const struct spawn *spawn, struct buf *why) MUST_CHECK;
/* The first process of a container inherits all others: takes note of those that ended. */
void spawn_reap(void);

#endif
