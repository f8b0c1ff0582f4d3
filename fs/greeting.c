/* Asked for: truncation within open, parallel lookups in one directory, parallel reads, splicing of
 * what is read, readdirplus always. Not asked for: splicing of what comes in (it makes each small
 * request, and most are small, dearer by a quarter than it makes large writes cheaper), the
 * writeback cache (flush is the commit point), AUTO_INVAL_DATA (the kernel would throw content away
 * whenever it sees a new mtime, such as the one it has just written), HANDLE_KILLPRIV (the kernel
 * then clears setuid bits through setattr), DONT_MASK (the kernel applies the umask), locks (the
 * kernel's own are right: all users are on this host), ASYNC_DIO (who reads with O_DIRECT could not
 * even be killed while the bucket is waited for).
 *
 * libfuse before 3.17 never passes PARALLEL_DIROPS on, although it offers it: without it the kernel
 * lets one lookup at a time into a directory, and the first touch of each object of a bucket is
 * slow. For those versions the /dev/fuse functions are our own, and the first message that leaves,
 * which is the answer to INIT, gets the flag added. All others go through unchanged. */
#include "greeting.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/uio.h>
#include "lowlevel.h"

enum {
	WRITE_BYTES_MAX = 128 * 1024, /* also a thread's buffer, and the pages of one read */
	BACKGROUND_MAX = 512,	      /* readahead that may wait for the bucket at a time */
};

static const unsigned wanted = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS |
			       FUSE_CAP_ASYNC_READ | FUSE_CAP_SPLICE_WRITE |
			       FUSE_CAP_READDIRPLUS | FUSE_CAP_CACHE_SYMLINKS;

void greeting_init(void *userdata, struct fuse_conn_info *conn)
{
	struct session *session = userdata;

	conn->want = wanted & conn->capable;
	conn->max_write = WRITE_BYTES_MAX;
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_MAX * 3 / 4;
	if (conn->capable & FUSE_CAP_PARALLEL_DIROPS)
		session->patch = FUSE_PARALLEL_DIROPS;
	if (session->config->ready)
		session->config->ready(session->config->arg);
}

static ssize_t write_message(int fd, struct iovec *iov, int count, void *userdata)
{
	struct session *session = userdata;

	if (!atomic_load(&session->greeted) && !atomic_exchange(&session->greeted, true) &&
	    count == 2 && iov[1].iov_len == sizeof(struct fuse_init_out)) {
		struct fuse_init_out *out = iov[1].iov_base;
		out->flags |= session->patch;
	}
	return writev(fd, iov, count);
}

static ssize_t read_message(int fd, void *bytes, size_t size, void *userdata)
{
	(void)userdata;
	return read(fd, bytes, size);
}

static ssize_t splice_message(int from, off_t *from_at, int to, off_t *to_at, size_t size,
			      unsigned flags, void *userdata)
{
	(void)userdata;
	return splice(from, from_at, to, to_at, size, flags);
}

int greeting_attach(struct session *session)
{
	const struct fuse_custom_io io = {
	    .writev = write_message,
	    .read = read_message,
	    .splice_receive = splice_message,
	    .splice_send = splice_message,
	};
	char path[32];

	if (fuse_version() < 317)
		return fuse_session_custom_io(session->fuse, &io, session->fd);
	snprintf(path, sizeof(path), "/dev/fd/%d", session->fd);
	return fuse_session_mount(session->fuse, path) == 0 ? 0 : -EIO;
}
