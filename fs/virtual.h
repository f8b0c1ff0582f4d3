/* Virtual xattrs: what the daemon knows of a node, to be read with getfattr(1). They are never listed, so that nobody
 * copies them, and cannot be set. */
#ifndef TOOTFS_VIRTUAL_H
#define TOOTFS_VIRTUAL_H

#include <stdbool.h>
#include "cache/base/buf.h"
#include "lowlevel.h"

/* Is it one of ours, known or not? */
bool virtual_is(const char *name);
/* -ENODATA: there is no such one, or not for this node or caller. */
int virtual_get(fuse_req_t req, fuse_ino_t ino, const char *name, struct buf *out) MUST_CHECK;

#endif
