/* A connection to a control socket, whose every wait ends. For tools/client only. */
#ifndef TOOTFS_CLIENT_CONNECTION_H
#define TOOTFS_CLIENT_CONNECTION_H

#include "client.h"

/* *fd: connected, its other end checked. */
int connection_open(const struct client_place *place, int *fd, struct buf *why) MUST_CHECK;
int connection_send(int fd, const char *bytes, size_t length) MUST_CHECK;
/* The bytes read, 0 at the end, -ETIMEDOUT after silence_ms without any. */
ssize_t connection_read(int fd, char *out, size_t space, int64_t silence_ms) MUST_CHECK;

#endif
