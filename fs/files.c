/* Content. A read that must wait for the bucket leaves its thread: the request is then answered by
 * the thread that brought the bytes.
 *
 * A caller that gets a signal while it waits is let go (interrupt.c says when). Who takes the read
 * out of the cache's hands answers it, so it is answered once: file_read_cancel says yes, or done()
 * is called. libfuse calls on_interrupt with the request's lock held, and waits for it in
 * fuse_req_interrupt_func: after that, nobody comes by way of the request any more.
 *
 * The kernel keeps content between opens (keep_cache), since nobody else writes; with shared= it
 * starts anew at each open. A handle that only reads has nothing to flush, so close(2) costs no
 * message. After a failed write or flush the old content comes back, and the kernel must forget
 * what it took for written. */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "cache/base/clock.h"
#include "cache/file.h"
#include "cache/tree.h"
#include "dispatch.h"
#include "handles.h"
#include "interrupt.h"
#include "reply.h"

static void publish(fuse_req_t req, struct handle *handle, struct fuse_file_info *fi)
{
	struct session *session = session_of(req);

	handle_publish(session, handle, fi);
	fi->keep_cache = session->config->shared_s == 0;
	fi->noflush = !handle->writes;
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct session *session = session_of(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct create create = {
	    .parent = parent,
	    .name = name,
	    .mode = mode & ALLPERMS,
	    .flags = fi->flags,
	    .caller = {.uid = ctx->uid, .gid = ctx->gid},
	};
	struct handle *handle = handle_new(0);
	struct stat stat;
	int error;

	if (!handle) {
		reply_error(req, -ENOMEM);
		return;
	}
	error = tree_create(session->cache, &create, &handle->file, &stat);
	if (error) {
		handle_close(session, &handle);
		/* There is one after all: the kernel looks again, checks permissions, and opens it.
		 */
		reply_error(req, error == -EEXIST && !(fi->flags & O_EXCL) ? -ESTALE : error);
		return;
	}
	handle->ino = stat.st_ino;
	publish(req, handle, fi);
	if (!reply_create(req, &stat, fi))
		handle_close(session, &handle);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct session *session = session_of(req);
	struct handle *handle = handle_new(ino);
	int error;

	if (!handle) {
		reply_error(req, -ENOMEM);
		return;
	}
	error = file_open(session->cache, ino, fi->flags, &handle->file);
	if (error) {
		handle_close(session, &handle);
		reply_error(req, error == -ENOENT ? -ESTALE : error);
		return;
	}
	publish(req, handle, fi);
	if (!reply_open(req, fi))
		handle_close(session, &handle);
}

/* Where a readahead failed, the kernel at once asks again for the page that is wanted. The bucket
 * that did not answer in io_timeout is not waited for twice. */
enum { STARVED_MS = 500 };

static bool is_starved(struct handle *handle)
{
	int64_t failed_ms = atomic_load(&handle->starved_ms);

	return failed_ms && clock_ms() - failed_ms < STARVED_MS;
}

struct reading {
	struct file_read read;
	struct handle *handle;
	fuse_req_t req;
	struct session *session; /* req is gone once it is answered */
	struct dispatch_mark mark;
};

/* No interrupt can come any more, or this is one. */
static void read_reply(struct reading *reading, int error)
{
	struct session *session = reading->session;

	dispatch_resume(&reading->mark);
	if (error) {
		reply_error(reading->req, error);
	} else {
		reply_span(reading->req, &reading->read.span);
		file_span_release(&reading->read.span);
	}
	free(reading);
	session_read_end(session);
}

static void read_end(struct reading *reading, int error)
{
	struct handle *handle = reading->handle;

	/* what it did not wait for was not tried */
	if (error == -EINTR && is_starved(handle))
		error = -EIO;
	else if (error == -EIO)
		atomic_store(&handle->starved_ms, clock_ms());
	fuse_req_interrupt_func(reading->req, NULL, NULL);
	read_reply(reading, error);
}

static void on_interrupt(fuse_req_t req, void *arg)
{
	struct reading *reading = arg;

	if (interrupt_is_due(fuse_req_ctx(req)->pid) &&
	    file_read_cancel(reading->handle->file, &reading->read))
		read_reply(reading, -EINTR);
}

static void read_done(struct file_read *read, int error)
{
	read_end(container_of(read, struct reading, read), error);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct reading *reading = malloc(sizeof(*reading));
	struct handle *handle = handle_of(req, fi);
	int error;

	(void)ino;
	if (!reading) {
		reply_error(req, -ENOMEM);
		return;
	}
	*reading = (struct reading){
	    .read = {.offset = (uint64_t)offset,
		     .length = size,
		     .done = read_done,
		     .no_wait = is_starved(handle)},
	    .handle = handle,
	    .req = req,
	    .session = session_of(req),
	    .mark = dispatch_mark(),
	};
	session_read_begin(reading->session);
	/* Before it begins: afterwards it may be answered at any time. */
	fuse_req_interrupt_func(req, on_interrupt, reading);
	error = file_read(handle->file, &reading->read);
	if (error != -EINPROGRESS)
		read_end(reading, error);
}

/* The old content is back: what the kernel keeps of the new one is wrong. */
static void failed(struct session *session, struct handle *handle)
{
	atomic_store(&handle->failed, true);
	notify_changed(&session->notify, handle->ino);
}

static int copy_in(void *arg, int fd, uint64_t offset, uint64_t length)
{
	struct fuse_bufvec *in = arg;
	struct fuse_bufvec out = FUSE_BUFVEC_INIT(length);
	ssize_t copied;

	out.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	out.buf[0].fd = fd;
	out.buf[0].pos = (off_t)offset;
	copied = fuse_buf_copy(&out, in, 0);
	if (copied < 0)
		return (int)copied;
	return (uint64_t)copied == length ? 0 : -EIO;
}

void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t offset,
		  struct fuse_file_info *fi)
{
	struct handle *handle = handle_of(req, fi);
	struct write_source source = {.copy = copy_in, .arg = in};
	size_t length = fuse_buf_size(in);
	int error;

	(void)ino;
	error = file_write(handle->file, (uint64_t)offset, length, &source);
	if (error) {
		failed(session_of(req), handle);
		reply_error(req, error);
		return;
	}
	reply_written(req, length);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *handle = handle_of(req, fi);
	int error = handle->writes ? file_flush(handle->file) : 0;

	(void)ino;
	if (error)
		failed(session_of(req), handle);
	reply_error(req, error);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct handle *handle = handle_of(req, fi);
	int error = file_sync(handle->file);

	(void)ino, (void)datasync;
	if (error && handle->writes)
		failed(session_of(req), handle);
	reply_error(req, error);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct session *session = session_of(req);
	struct handle *handle = handle_of(req, fi);
	bool had_failed = atomic_load(&handle->failed);

	handle_close(session, &handle);
	if (had_failed)
		notify_changed(&session->notify, ino);
	reply_error(req, 0);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi)
{
	(void)ino;
	if (offset < 0 || length <= 0) {
		reply_error(req, -EINVAL);
		return;
	}
	reply_error(
	    req, file_allocate(handle_of(req, fi)->file, mode, (uint64_t)offset, (uint64_t)length));
}
