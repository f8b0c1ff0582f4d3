/* The INIT exchange: what the kernel is asked for. */
#ifndef TOOTFS_GREETING_H
#define TOOTFS_GREETING_H

#include "cache/base/err.h"
#include "session.h"

struct fuse_conn_info;

/* op_init: sets capabilities and sizes. */
void greeting_init(void *userdata, struct fuse_conn_info *conn);
/* Lets libfuse use session->fd, an open /dev/fuse. */
int greeting_attach(struct session *session) MUST_CHECK;

#endif
