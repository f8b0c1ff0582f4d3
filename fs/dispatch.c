/* Each operation of ops.h has a wrapper that notes in the thread what began, and when; reply.c says when it is answered.
 * So no operation has to think of it, but for op_read, whose answer comes from another thread.
 *
 * Of errors only those are counted that say something of us: names that do not exist are nobody's fault. */
#include "dispatch.h"

#include <errno.h>
#include <time.h>
#include "greeting.h"
#include "ops.h"

#define OPERATIONS(X)                                                                              \
	X(lookup) X(forget) X(forget_multi) X(getattr) X(setattr) X(readlink) X(mknod) X(mkdir) X(unlink) X(rmdir)     \
	X(symlink) X(rename) X(link) X(open) X(create) X(read) X(write_buf) X(flush) X(release) X(fsync) X(fallocate) \
	X(opendir) X(readdir) X(readdirplus) X(releasedir) X(fsyncdir) X(statfs) X(setxattr) X(getxattr) X(listxattr) \
	X(removexattr)

#define NUMBER(name) OP_##name,
#define NAME(name)   #name,
enum { OPERATIONS(NUMBER) OPS };
static const char *const names[OPS] = {OPERATIONS(NAME)};

static const struct {
	int error;
	const char *name;
} errors[] = {
    {-EIO, "EIO"},     {-ENOSPC, "ENOSPC"}, {-ESTALE, "ESTALE"}, {-EINTR, "EINTR"},
    {-ENOMEM, "ENOMEM"}, {-EFBIG, "EFBIG"},   {-EROFS, "EROFS"},
};
enum { ERRORS = sizeof(errors) / sizeof(*errors) };

static struct histogram durations[OPS];
static atomic_uint_fast64_t error_counts[ERRORS];
static _Thread_local struct dispatch_mark current = {.operation = -1};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct dispatch_mark dispatch_mark(void)
{
	return current;
}

void dispatch_resume(const struct dispatch_mark *mark)
{
	current = *mark;
}

void dispatch_answered(int error)
{
	if (current.operation >= 0)
		histogram_add(&durations[current.operation], now_us() - current.began_us);
	current.operation = -1;
	for (int i = 0; error && i < ERRORS; i++)
		if (errors[i].error == error)
			atomic_fetch_add_explicit(&error_counts[i], 1, memory_order_relaxed);
}

bool dispatch_operation(unsigned i, const char **name, struct histogram_sums *out)
{
	if (i >= OPS)
		return false;
	*name = i == OP_write_buf ? "write" : names[i];
	histogram_read(&durations[i], out);
	return true;
}

bool dispatch_error(unsigned i, const char **name, uint64_t *count)
{
	if (i >= ERRORS)
		return false;
	*name = errors[i].name;
	*count = atomic_load_explicit(&error_counts[i], memory_order_relaxed);
	return true;
}

/* -- the wrappers -- */

#define TIMED(name, parameters, arguments)                                                         \
	static void timed_##name parameters                                                        \
	{                                                                                          \
		current = (struct dispatch_mark){OP_##name, now_us()};                             \
		op_##name arguments;                                                               \
	}

typedef struct fuse_file_info *info;

TIMED(lookup, (fuse_req_t req, fuse_ino_t parent, const char *name), (req, parent, name))
TIMED(forget, (fuse_req_t req, fuse_ino_t ino, uint64_t count), (req, ino, count))
TIMED(forget_multi, (fuse_req_t req, size_t count, struct fuse_forget_data *forgets), (req, count, forgets))
TIMED(getattr, (fuse_req_t req, fuse_ino_t ino, info fi), (req, ino, fi))
TIMED(setattr, (fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid, info fi), (req, ino, attr, valid, fi))
TIMED(readlink, (fuse_req_t req, fuse_ino_t ino), (req, ino))
TIMED(mknod, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev),
      (req, parent, name, mode, rdev))
TIMED(mkdir, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode), (req, parent, name, mode))
TIMED(unlink, (fuse_req_t req, fuse_ino_t parent, const char *name), (req, parent, name))
TIMED(rmdir, (fuse_req_t req, fuse_ino_t parent, const char *name), (req, parent, name))
TIMED(symlink, (fuse_req_t req, const char *target, fuse_ino_t parent, const char *name), (req, target, parent, name))
TIMED(rename,
      (fuse_req_t req, fuse_ino_t from_parent, const char *from, fuse_ino_t to_parent, const char *to, unsigned flags),
      (req, from_parent, from, to_parent, to, flags))
TIMED(link, (fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name), (req, ino, parent, name))
TIMED(open, (fuse_req_t req, fuse_ino_t ino, info fi), (req, ino, fi))
TIMED(create, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, info fi), (req, parent, name, mode, fi))
TIMED(read, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, info fi), (req, ino, size, offset, fi))
TIMED(write_buf, (fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t offset, info fi),
      (req, ino, in, offset, fi))
TIMED(flush, (fuse_req_t req, fuse_ino_t ino, info fi), (req, ino, fi))
TIMED(release, (fuse_req_t req, fuse_ino_t ino, info fi), (req, ino, fi))
TIMED(fsync, (fuse_req_t req, fuse_ino_t ino, int datasync, info fi), (req, ino, datasync, fi))
TIMED(fallocate, (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, info fi),
      (req, ino, mode, offset, length, fi))
TIMED(opendir, (fuse_req_t req, fuse_ino_t ino, info fi), (req, ino, fi))
TIMED(readdir, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, info fi), (req, ino, size, offset, fi))
TIMED(readdirplus, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, info fi), (req, ino, size, offset, fi))
TIMED(releasedir, (fuse_req_t req, fuse_ino_t ino, info fi), (req, ino, fi))
TIMED(fsyncdir, (fuse_req_t req, fuse_ino_t ino, int datasync, info fi), (req, ino, datasync, fi))
TIMED(statfs, (fuse_req_t req, fuse_ino_t ino), (req, ino))
TIMED(setxattr, (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags),
      (req, ino, name, value, size, flags))
TIMED(getxattr, (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size), (req, ino, name, size))
TIMED(listxattr, (fuse_req_t req, fuse_ino_t ino, size_t size), (req, ino, size))
TIMED(removexattr, (fuse_req_t req, fuse_ino_t ino, const char *name), (req, ino, name))

#define MEMBER(name) .name = timed_##name,

/* access, lseek, copy_file_range, locks: the kernel does without */
const struct fuse_lowlevel_ops dispatch_ops = {.init = greeting_init, OPERATIONS(MEMBER)};
