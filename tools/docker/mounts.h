/* What is mounted where, as the kernel has it, and taking it away. Stateless; thread-safe. */
#ifndef TOOTFS_DOCKER_MOUNTS_H
#define TOOTFS_DOCKER_MOUNTS_H

#include <stdbool.h>
#include "cache/base/err.h"

enum mounts_state {
	MOUNTS_NONE,
	MOUNTS_ALIVE,
	MOUNTS_DEAD, /* the daemon of what is on top is gone */
};

/* Asks the daemon: may wait for one that is stuck. */
enum mounts_state mounts_look(const char *mountpoint);
/* How many of ours are on top of each other there; asks no daemon. */
unsigned mounts_count(const char *mountpoint);
/* All of them. lazy: also while files are open below; else -EBUSY. Dead ones always go. */
int mounts_take_away(const char *mountpoint, bool lazy) MUST_CHECK;
/* Makes folder part of a shared mount, if it is not: a mount made below it later reaches those that have a copy of it. */
int mounts_share(const char *folder) MUST_CHECK;
/* The folder to mount on; made where missing, and immutable where that can be, so that nobody writes below a mount that is
 * not there. */
int mounts_make_folder(const char *mountpoint) MUST_CHECK;
int mounts_drop_folder(const char *mountpoint) MUST_CHECK;

#endif
