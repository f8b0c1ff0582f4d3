/* user.tootfs.control   the path of the control socket; on every node, since a container may see only a folder of the
 *                       mount; for root and the daemon's own user, as the socket is
 * user.tootfs.state     REMOTE, CLEAN or DIRTY; of a file or symlink
 * user.tootfs.cached    which part of it is here: BYTES/SIZE
 * user.tootfs.etag      of the object; only where it is known
 * user.tootfs.error     what failed with it last; only while it is not mended
 *
 * The last four say no more than who may read the node's attributes could find out, but for the error, which may name the
 * server: it is for those who may read the file, which the kernel has checked for user.* names. */
#include "virtual.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "cache/status.h"
#include "control.h"
#include "reply.h"

#define PREFIX "user.tootfs."

bool virtual_is(const char *name)
{
	return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

static int get_control(fuse_req_t req, struct buf *out)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	if (uid != 0 && uid != geteuid())
		return -ENODATA;
	buf_printf(out, "%s/" CONTROL_SOCKET, session_of(req)->config->cache_folder);
	return 0;
}

static int get_state(const struct node_status *n, struct buf *out)
{
	buf_text(out, status_state_name(n->state));
	return 0;
}

static int get_cached(const struct node_status *n, struct buf *out)
{
	buf_printf(out, "%" PRIu64 "/%" PRIu64, n->cached_bytes, n->size);
	return 0;
}

static int get_etag(const struct node_status *n, struct buf *out)
{
	buf_text(out, n->etag);
	return n->etag[0] ? 0 : -ENODATA;
}

static int get_error(const struct node_status *n, struct buf *out)
{
	buf_text(out, n->failed_why);
	return n->failed_why[0] ? 0 : -ENODATA;
}

static const struct {
	const char *name;
	int (*get)(const struct node_status *n, struct buf *out);
} rows[] = {
    {"state", get_state},
    {"cached", get_cached},
    {"etag", get_etag},
    {"error", get_error},
};

int virtual_get(fuse_req_t req, fuse_ino_t ino, const char *name, struct buf *out)
{
	const char *what = name + strlen(PREFIX);
	struct node_status status;
	int r;

	if (strcmp(what, "control") == 0)
		return get_control(req, out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(rows[i].name, what) != 0)
			continue;
		r = node_status_read(session_of(req)->cache, ino, &status);
		if (r)
			return r;
		return status.kind == STATUS_FOLDER ? -ENODATA : rows[i].get(&status, out);
	}
	return -ENODATA;
}
