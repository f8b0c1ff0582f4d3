/* Names in directories. lookup of a missing name is answered with ino 0, which the kernel keeps as
 * "not there" until someone makes the name through this mount: nginx asks for FILE.gz on every
 * request.
 *
 * forget does nothing: a node lives in the index, not in a table of this process, whether the
 * kernel knows it or not. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include "cache/tree.h"
#include "reply.h"

static struct caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct caller){.uid = ctx->uid, .gid = ctx->gid};
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct stat stat;
	int error = tree_lookup(session_of(req)->cache, parent, name, &stat);

	reply_entry(req, error, &stat);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	(void)ino, (void)count;
	reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count, (void)forgets;
	reply_none(req);
}

/* A new name whose making failed: unlike a lookup, ENOENT is the parent's and no answer to keep. */
static void reply_made(fuse_req_t req, int error, const struct stat *stat)
{
	if (error)
		reply_error(req, error);
	else
		reply_entry(req, 0, stat);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct create create = {
	    .parent = parent,
	    .name = name,
	    .mode = mode & ALLPERMS,
	    .flags = O_WRONLY | O_CREAT | O_EXCL,
	    .caller = caller_of(req),
	};
	struct file *file = NULL;
	struct stat stat;
	int error;

	(void)rdev;
	if (!S_ISREG(mode) && (mode & S_IFMT) != 0) {
		reply_error(req, -EPERM); /* an object is nothing but bytes */
		return;
	}
	error = tree_create(session_of(req)->cache, &create, &file, &stat);
	if (error == 0) {
		error = file_flush(file);
		file_close(&file);
	}
	reply_made(req, error, &stat);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct caller caller = caller_of(req);
	struct stat stat;
	int error =
	    tree_mkdir(session_of(req)->cache, parent, name, mode & ALLPERMS, &caller, &stat);

	reply_made(req, error, &stat);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct caller caller = caller_of(req);
	struct stat stat;
	int error = tree_symlink(session_of(req)->cache, parent, name, target, &caller, &stat);

	reply_made(req, error, &stat);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	AUTO_FREE char *target = NULL;
	int error = tree_readlink(session_of(req)->cache, ino, &target);

	if (error) {
		reply_error(req, error);
		return;
	}
	reply_link(req, target);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct stat stat;
	int error = tree_link(session_of(req)->cache, ino, parent, name, &stat);

	reply_made(req, error, &stat);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_error(req, tree_unlink(session_of(req)->cache, parent, name));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_error(req, tree_rmdir(session_of(req)->cache, parent, name));
}

void op_rename(fuse_req_t req, fuse_ino_t from_parent, const char *from, fuse_ino_t to_parent,
	       const char *to, unsigned flags)
{
	struct rename change = {
	    .from_parent = from_parent,
	    .to_parent = to_parent,
	    .from = from,
	    .to = to,
	    .flags = flags,
	};

	if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE) {
		reply_error(req, -EINVAL);
		return;
	}
	reply_error(req, tree_rename(session_of(req)->cache, &change));
}
