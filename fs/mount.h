/* The mount itself: checks, mount(2) or fusermount3, umount(2). No thread may depend on the mount's
 * daemon. */
#ifndef TOOTFS_MOUNT_H
#define TOOTFS_MOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

/* Can spec be mounted there? -errno and why. */
int mount_check(const char *mountpoint, const char *spec, struct buf *why) MUST_CHECK;
/* A folder that the daemon itself uses must be neither below nor above: each access would come back
 * to it. */
int mount_check_apart(const char *mountpoint, const char *folder, const char *what,
		      struct buf *why) MUST_CHECK;
/* Is it mounted anywhere that this process sees? where gets the place. */
bool mount_find(const char *spec, struct buf *where);
bool mount_is_at(const char *mountpoint, const char *spec);
/* *fd: /dev/fuse, connected. options as libfuse parses them. */
int mount_open(const char *mountpoint, const char *options, int *fd, struct buf *why) MUST_CHECK;
/* The device number of what is mounted there, without asking its daemon; 0 = unknown. */
uint64_t mount_device(const char *mountpoint);

enum mount_leave {
	MOUNT_LEAVE_IDLE, /* only if nothing is open below: else -EBUSY */
	MOUNT_LEAVE_LAZY, /* no new opens; what is open goes on */
};
/* Unmounts if device is still what is mounted there; else -EINVAL. */
int mount_leave(const char *mountpoint, uint64_t device, enum mount_leave how) MUST_CHECK;

#endif
