/* A mount on top of a dead one.
 *
 * A mount whose daemon was killed answers everything with ENOTCONN. To unmount it and mount again heals the host but no
 * container that has it; a new mount on top of it reaches those too, where mounts are shared. libfuse and mount(8)
 * refuse, since stat(2) fails there; mount(2) does not. Root only. */
#ifndef TOOTFS_STACK_H
#define TOOTFS_STACK_H

#include <stdbool.h>
#include <sys/stat.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

/* Is what is seen there dead? */
bool stack_dead(const char *mountpoint);
/* As mount_open, for a dead mount point. -EPERM: not root. */
int stack_open(const char *mountpoint, const char *options, int *fd, struct buf *why) MUST_CHECK;
/* The folder that the dead mount, or a pile of them, hides. */
int stack_below(const char *mountpoint, struct stat *out) MUST_CHECK;
/* Our mount is gone: takes away the dead ones of the same source below it. */
void stack_clear(const char *mountpoint, const char *spec);

#endif
