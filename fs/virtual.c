/* user.tootfs.control   the path of the control socket; on every node, since a container may see only a folder of the
 *                       mount; for root and the daemon's own user, as the socket is */
#include "virtual.h"

#include <errno.h>
#include <string.h>
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

int virtual_get(fuse_req_t req, fuse_ino_t ino, const char *name, struct buf *out)
{
	const char *what = name + strlen(PREFIX);

	(void)ino;
	if (strcmp(what, "control") == 0)
		return get_control(req, out);
	return -ENODATA;
}
