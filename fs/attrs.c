/* Attributes of nodes, and of the whole.
 *
 * The setuid and setgid bits are cleared by the kernel: since HANDLE_KILLPRIV is off, it sends the
 * new mode as a setattr of its own. It also asks for security.capability before each write, so that
 * this answer must cost nothing: only user.* names ever reach the cache. */
#include "ops.h"

#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/tree.h"
#include "handles.h"
#include "reply.h"
#include "virtual.h"

/* A node that the kernel still knows but the index does not: the kernel looks the name up again. */
static int stale(int error)
{
	return error == -ENOENT ? -ESTALE : error;
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat stat;
	int error = tree_stat(session_of(req)->cache, ino, &stat);

	(void)fi;
	reply_attr(req, stale(error), &stat);
}

/* Times beyond what 64 bits of nanoseconds hold (the years 1677 and 2262) are kept at that edge. */
static int64_t time_ns(const struct timespec *time, bool now)
{
	int64_t ns;

	if (now)
		return clock_wall_ns();
	if (__builtin_mul_overflow((int64_t)time->tv_sec, INT64_C(1000000000), &ns) ||
	    __builtin_add_overflow(ns, (int64_t)time->tv_nsec, &ns))
		return time->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

static struct attr_change change_of(const struct stat *attr, int valid)
{
	struct attr_change change = {
	    .mode = attr->st_mode & ALLPERMS,
	    .uid = attr->st_uid,
	    .gid = attr->st_gid,
	    .atime_ns = time_ns(&attr->st_atim, valid & FUSE_SET_ATTR_ATIME_NOW),
	    .mtime_ns = time_ns(&attr->st_mtim, valid & FUSE_SET_ATTR_MTIME_NOW),
	};

	change.fields |= valid & FUSE_SET_ATTR_MODE ? ATTR_MODE : 0;
	change.fields |= valid & FUSE_SET_ATTR_UID ? ATTR_UID : 0;
	change.fields |= valid & FUSE_SET_ATTR_GID ? ATTR_GID : 0;
	change.fields |= valid & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW) ? ATTR_ATIME : 0;
	change.fields |= valid & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW) ? ATTR_MTIME : 0;
	return change;
}

/* The size first: it sets mtime, which the same request may then set to something else. */
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid,
		struct fuse_file_info *fi)
{
	struct cache *cache = session_of(req)->cache;
	struct attr_change change = change_of(attr, valid);
	bool resizes = valid & FUSE_SET_ATTR_SIZE;
	struct stat stat;
	int error = 0;

	if (resizes && attr->st_size < 0) {
		reply_error(req, -EINVAL);
		return;
	}
	if (resizes)
		error = file_truncate(cache, ino, fi ? handle_of(req, fi)->file : NULL,
				      (uint64_t)attr->st_size, &stat);
	if (error == 0 && (change.fields || !resizes))
		error = tree_setattr(cache, ino, &change, &stat);
	reply_attr(req, stale(error), &stat);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs numbers;
	int error = cache_statvfs(session_of(req)->cache, &numbers);

	(void)ino;
	if (error) {
		reply_error(req, error);
		return;
	}
	reply_statfs(req, &numbers);
}

static bool is_user_name(const char *name)
{
	return strncmp(name, "user.", 5) == 0 && name[5];
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	AUTO_BUF struct buf value = BUF_EMPTY;
	int error;

	if (!is_user_name(name)) {
		reply_error(req, strncmp(name, "security.", 9) ? -EOPNOTSUPP : -ENODATA);
		return;
	}
	error = virtual_is(name) ? virtual_get(req, ino, name, &value)
				 : tree_xattr_get(session_of(req)->cache, ino, name, &value);
	if (error == 0 && value.failed)
		error = -ENOMEM;
	if (error) {
		reply_error(req, stale(error));
		return;
	}
	reply_xattr(req, &value, size);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	AUTO_BUF struct buf bytes = BUF_EMPTY;
	int error;

	if (!is_user_name(name) || virtual_is(name)) {
		reply_error(req, is_user_name(name) ? -EPERM : -EOPNOTSUPP);
		return;
	}
	buf_append(&bytes, value, size);
	error = bytes.failed ? -ENOMEM
			     : tree_xattr_set(session_of(req)->cache, ino, name, &bytes, flags);
	reply_error(req, stale(error));
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	AUTO_BUF struct buf names = BUF_EMPTY;
	int error = tree_xattr_list(session_of(req)->cache, ino, &names);

	if (error == 0 && names.failed)
		error = -ENOMEM;
	if (error) {
		reply_error(req, stale(error));
		return;
	}
	reply_xattr(req, &names, size);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	if (!is_user_name(name) || virtual_is(name)) {
		reply_error(req, is_user_name(name) ? -EPERM : -EOPNOTSUPP);
		return;
	}
	reply_error(req, stale(tree_xattr_remove(session_of(req)->cache, ino, name)));
}
