/* What the plugin asks of a filesystem daemon through the control socket in its cache folder. Thread-safe. */
#ifndef TOOTFS_DOCKER_UPLOADS_H
#define TOOTFS_DOCKER_UPLOADS_H

#include "cache/base/buf.h"
#include "cache/base/err.h"

/* Until all is in the bucket, or seconds have passed. Not 0: left says what is not there, in plain words. */
int uploads_wait(const char *cache, unsigned seconds, struct buf *left) MUST_CHECK;
/* A descriptor that gets readable when the daemon ends; -1 = it does not answer. */
int uploads_daemon(const char *cache);

#endif
