/* Error numbers go out as they came from below. What is no error number of a system call (over 511
 * the kernel keeps numbers for itself and refuses the whole answer, so that the caller would hang)
 * becomes EIO.
 *
 * Content leaves by splice from its file to /dev/fuse, without a copy in this process. Below two
 * pages a read into the stack is cheaper than filling a pipe. SPLICE_MOVE is never asked for: it
 * would give the pages of a cache file away. */
#include "reply.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "cache/base/log.h"
#include "dispatch.h"

enum { ERROR_MAX = 511, SMALL_BYTES = 16 * 1024 };

/* Everything before this is seen by who is asked next. */
static fuse_req_t answer(fuse_req_t req, int error)
{
	dispatch_answered(error);
	KERNEL_ANSWERS(fuse_req_userdata(req));
	return req;
}

void reply_error(fuse_req_t req, int error)
{
	if (error > 0 || error < -ERROR_MAX) {
		log_error("reply: %d is no error number, EIO is given", error);
		error = -EIO;
	}
	(void)fuse_reply_err(answer(req, error), -error);
}

struct fuse_entry_param reply_param(const struct session *session, const struct stat *stat)
{
	return (struct fuse_entry_param){
	    .ino = stat->st_ino, /* never reused: one generation is enough */
	    .attr = *stat,
	    .attr_timeout = session->timeout_s,
	    .entry_timeout = session->timeout_s,
	};
}

void reply_entry(fuse_req_t req, int error, const struct stat *stat)
{
	const struct session *session = session_of(req);
	struct fuse_entry_param entry = {.entry_timeout = session->timeout_s};

	if (error == 0)
		entry = reply_param(session, stat);
	else if (error != -ENOENT) {
		reply_error(req, error);
		return;
	}
	(void)fuse_reply_entry(answer(req, 0), &entry);
}

void reply_attr(fuse_req_t req, int error, const struct stat *stat)
{
	if (error) {
		reply_error(req, error);
		return;
	}
	(void)fuse_reply_attr(answer(req, 0), stat, session_of(req)->timeout_s);
}

bool reply_open(fuse_req_t req, const struct fuse_file_info *fi)
{
	return fuse_reply_open(answer(req, 0), fi) == 0;
}

bool reply_create(fuse_req_t req, const struct stat *stat, const struct fuse_file_info *fi)
{
	struct fuse_entry_param entry = reply_param(session_of(req), stat);

	return fuse_reply_create(answer(req, 0), &entry, fi) == 0;
}

static void reply_small(fuse_req_t req, const struct span *span)
{
	char bytes[SMALL_BYTES];
	size_t length = 0;

	while (length < span->length) {
		ssize_t n = pread(span->fd, bytes + length, span->length - length,
				  (off_t)(span->offset + length));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int error = n < 0 ? -errno : -EIO;
			log_error("reply: a cache file cannot be read error=%s",
				  n < 0 ? strerror(errno) : "it is too short");
			reply_error(req, error);
			return;
		}
		length += (size_t)n;
	}
	(void)fuse_reply_buf(answer(req, 0), bytes, length);
}

void reply_span(fuse_req_t req, const struct span *span)
{
	struct fuse_bufvec content = FUSE_BUFVEC_INIT(span->length);

	if (span->length <= SMALL_BYTES) {
		reply_small(req, span);
		return;
	}
	content.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	content.buf[0].fd = span->fd;
	content.buf[0].pos = (off_t)span->offset;
	(void)fuse_reply_data(answer(req, 0), &content, 0);
}

void reply_bytes(fuse_req_t req, const void *bytes, size_t length)
{
	(void)fuse_reply_buf(answer(req, 0), bytes, length);
}

void reply_written(fuse_req_t req, size_t length)
{
	(void)fuse_reply_write(answer(req, 0), length);
}

void reply_link(fuse_req_t req, const char *target)
{
	(void)fuse_reply_readlink(answer(req, 0), target);
}

void reply_statfs(fuse_req_t req, const struct statvfs *numbers)
{
	(void)fuse_reply_statfs(answer(req, 0), numbers);
}

void reply_xattr(fuse_req_t req, const struct buf *value, size_t size)
{
	if (size == 0)
		(void)fuse_reply_xattr(answer(req, 0), value->length);
	else if (value->length > size)
		reply_error(req, -ERANGE);
	else
		(void)fuse_reply_buf(answer(req, 0), buf_string(value), value->length);
}

void reply_none(fuse_req_t req)
{
	fuse_reply_none(answer(req, 0));
}
