/* The calls that change a folder. Defined here, they are taken instead of libc's by the program, and by shared
 * libraries too, since the program exports them. Those that do not concern the recorded folder go straight to the kernel. */
#undef _FILE_OFFSET_BITS /* here open and open64 are two names */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "record.h"

/* -- open and close -- */

static void note_open(int at, const char *path, int flags, int fd)
{
	uint32_t dir, node;
	const char *name;
	if (!record_find(at, path, &dir, &name))
		return;
	node = record_lookup(dir, name);
	if (node == NODE_ALL)
		node = record_made(dir, name, false);
	else if (flags & O_TRUNC)
		record_sized(node, 0);
	record_opened(fd, node, flags & O_DSYNC);
}

static int do_open(int at, const char *path, int flags, mode_t mode)
{
	/* a file without a name does not outlive a power cut */
	if (!record_tracks(at, path) || (flags & O_TMPFILE) == O_TMPFILE || !record_enter())
		return (int)syscall(SYS_openat, at, path, flags, mode);
	int fd = (int)syscall(SYS_openat, at, path, flags, mode);
	int error = errno;
	if (fd >= 0)
		note_open(at, path, flags, fd);
	record_leave();
	errno = error;
	return fd;
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

static int do_fcntl(int fd, int command, va_list args)
{
	long arg = va_arg(args, long);
	int r = (int)syscall(SYS_fcntl, fd, command, arg);
	uint32_t node = record_node(fd);
	if (r >= 0 && node != NODE_ALL && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
		record_opened(r, node, record_is_dsync(fd));
	return r;
}

#define FCNTL(name)                                                                                \
	int name(int fd, int command, ...)                                                         \
	{                                                                                          \
		va_list args;                                                                      \
		va_start(args, command);                                                           \
		int r = do_fcntl(fd, command, args);                                               \
		va_end(args);                                                                      \
		return r;                                                                          \
	}
FCNTL(fcntl)
FCNTL(fcntl64)

#define OPEN(name)                                                                                 \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		va_list args;                                                                      \
		va_start(args, flags);                                                             \
		int fd = do_open(AT_FDCWD, path, flags, mode_of(flags, args));                     \
		va_end(args);                                                                      \
		return fd;                                                                         \
	}
#define OPENAT(name)                                                                               \
	int name(int at, const char *path, int flags, ...)                                         \
	{                                                                                          \
		va_list args;                                                                      \
		va_start(args, flags);                                                             \
		int fd = do_open(at, path, flags, mode_of(flags, args));                           \
		va_end(args);                                                                      \
		return fd;                                                                         \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
	record_closed(fd);
	return (int)syscall(SYS_close, fd);
}

int closedir(DIR *stream)
{
	union {
		void *symbol;
		int (*call)(DIR *);
	} real = {dlsym(RTLD_NEXT, "closedir")};
	record_closed(dirfd(stream));
	return real.call(stream);
}

/* -- bytes -- */

static ssize_t do_pwrite(int fd, const void *bytes, size_t length, off64_t offset)
{
	uint32_t node = record_node(fd);
	if (node == NODE_ALL || !record_enter())
		return syscall(SYS_pwrite64, fd, bytes, length, offset);
	ssize_t n = syscall(SYS_pwrite64, fd, bytes, length, offset);
	int error = errno;
	if (n > 0)
		record_written(node, (uint64_t)offset, bytes, (size_t)n);
	if (n > 0 && record_is_dsync(fd))
		record_synced(node);
	record_leave();
	errno = error;
	return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	return do_pwrite(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
	return do_pwrite(fd, bytes, length, offset);
}

/* By position: one writer a file is all that there is. */
ssize_t write(int fd, const void *bytes, size_t length)
{
	if (record_node(fd) == NODE_ALL)
		return syscall(SYS_write, fd, bytes, length);
	off64_t at = lseek64(fd, 0, SEEK_CUR);
	ssize_t n = do_pwrite(fd, bytes, length, at);
	if (n > 0)
		lseek64(fd, at + n, SEEK_SET);
	return n;
}

static ssize_t write_pieces(int fd, const struct iovec *pieces, int count, off64_t offset)
{
	ssize_t done = 0;
	for (int i = 0; i < count; i++) {
		ssize_t n = do_pwrite(fd, pieces[i].iov_base, pieces[i].iov_len, offset + done);
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < pieces[i].iov_len)
			break;
	}
	return done;
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	if (record_node(fd) == NODE_ALL)
		return syscall(SYS_writev, fd, pieces, count);
	off64_t at = lseek64(fd, 0, SEEK_CUR);
	ssize_t n = write_pieces(fd, pieces, count, at);
	if (n > 0)
		lseek64(fd, at + n, SEEK_SET);
	return n;
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
	if (record_node(fd) == NODE_ALL)
		return syscall(SYS_pwritev, fd, pieces, count, offset, 0);
	return write_pieces(fd, pieces, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t offset)
{
	return pwritev(fd, pieces, count, offset);
}

static int do_ftruncate(int fd, off64_t length)
{
	uint32_t node = record_node(fd);
	if (node == NODE_ALL || !record_enter())
		return (int)syscall(SYS_ftruncate, fd, length);
	int r = (int)syscall(SYS_ftruncate, fd, length);
	int error = errno;
	if (r == 0)
		record_sized(node, (uint64_t)length);
	record_leave();
	errno = error;
	return r;
}

int ftruncate(int fd, off_t length)
{
	return do_ftruncate(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
	return do_ftruncate(fd, length);
}

/* What else could change a file's bytes: refused, so that the caller takes a way that is recorded. */
static bool refuses(int fd)
{
	if (record_node(fd) == NODE_ALL)
		return false;
	errno = EOPNOTSUPP;
	return true;
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	return refuses(fd) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	return fallocate(fd, mode, offset, length);
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags)
{
	return refuses(out) ? -1 : syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
}

ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags)
{
	return refuses(out) ? -1 : syscall(SYS_splice, in, in_at, out, out_at, length, flags);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	va_start(args, request);
	void *arg = va_arg(args, void *);
	va_end(args);
	if (request == FICLONE && refuses(fd))
		return -1;
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

/* -- names -- */

int mkdirat(int at, const char *path, mode_t mode)
{
	uint32_t dir;
	const char *name;
	if (!record_tracks(at, path) || !record_enter())
		return (int)syscall(SYS_mkdirat, at, path, mode);
	int r = (int)syscall(SYS_mkdirat, at, path, mode);
	int error = errno;
	if (r == 0 && record_find(at, path, &dir, &name))
		record_made(dir, name, true);
	record_leave();
	errno = error;
	return r;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int at, const char *path, int flags)
{
	uint32_t dir;
	const char *name;
	if (!record_tracks(at, path) || !record_enter())
		return (int)syscall(SYS_unlinkat, at, path, flags);
	int r = (int)syscall(SYS_unlinkat, at, path, flags);
	int error = errno;
	if (r == 0 && record_find(at, path, &dir, &name))
		record_unlinked(dir, name);
	record_leave();
	errno = error;
	return r;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
	uint32_t from_dir, to_dir;
	const char *from_name, *to_name;
	if (!record_tracks(from_at, from) || !record_enter())
		return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
	int r = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
	int error = errno;
	if (r == 0) {
		if (!record_find(from_at, from, &from_dir, &from_name) ||
		    !record_find(to_at, to, &to_dir, &to_name))
			broken("a rename to or from elsewhere");
		if (from_dir == to_dir)
			record_renamed(from_dir, from_name, to_name, flags & RENAME_EXCHANGE);
		else
			record_moved(from_dir, from_name, to_dir, to_name);
	}
	record_leave();
	errno = error;
	return r;
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	uint32_t from_dir, to_dir;
	const char *from_name, *to_name;
	if (!record_tracks(from_at, from) || !record_enter())
		return (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
	int r = (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
	int error = errno;
	if (r == 0) {
		if (!record_find(from_at, from, &from_dir, &from_name) || !record_find(to_at, to, &to_dir, &to_name))
			broken("a link to or from elsewhere");
		record_linked(to_dir, to_name, record_lookup(from_dir, from_name));
	}
	record_leave();
	errno = error;
	return r;
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
	return renameat2(from_at, from, to_at, to, 0);
}

int rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* -- syncs: of what is not recorded, none is needed -- */

/* What libc's streams have written is first seen here. */
static void note_stream(int fd, uint32_t node)
{
	char path[40], bytes[4096];
	uint64_t at = 0;
	ssize_t n;
	if (!record_is_stream(node) || !record_enter())
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int in = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	while ((n = read(in, bytes, sizeof(bytes))) > 0) {
		record_written(node, at, bytes, (size_t)n);
		at += (uint64_t)n;
	}
	if (in < 0 || n < 0)
		broken("%s: %s", path, strerror(errno));
	syscall(SYS_close, in);
	record_leave();
}

static int do_fsync(int fd)
{
	uint32_t node = record_node(fd);
	if (node == NODE_ALL)
		return 0;
	note_stream(fd, node);
	record_sync(node);
	return 0;
}

int fsync(int fd)
{
	return do_fsync(fd);
}

int fdatasync(int fd)
{
	return do_fsync(fd);
}

int syncfs(int fd)
{
	if (record_node(fd) != NODE_ALL)
		record_sync(NODE_ALL);
	return 0;
}

int msync(void *at, size_t length, int flags)
{
	(void)at;
	(void)length;
	(void)flags;
	broken("msync: the recorder does not see what is written through a map");
}
