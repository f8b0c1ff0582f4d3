/* Addresses of this machine's own, and nobody else's: 127.x.y.z:PORT, [::1]:PORT, localhost:PORT. Pure. */
#ifndef TOOTFS_LOOPBACK_H
#define TOOTFS_LOOPBACK_H

#include <sys/socket.h>
#include "err.h"

/* 0, or -EINVAL. */
int loopback_parse(const char *text, struct sockaddr_storage *out, socklen_t *length) MUST_CHECK;

#endif
