/* Answers to the kernel: the only place that calls fuse_reply_*.
 *
 * Each function ends its request; req must not be used again. An error is 0 or -errno. An answer
 * that cannot be delivered (the caller was killed, the mount is gone) is dropped, except where
 * noted. */
#ifndef TOOTFS_REPLY_H
#define TOOTFS_REPLY_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "cache/base/sanitizers.h"
#include "cache/file.h"
#include "lowlevel.h"
#include "session.h"

/* What a thread did before it answered, a thread that is asked later may rely on. The kernel is in
 * between, where ThreadSanitizer does not see it. */
#ifdef THREAD_SANITIZER
void __tsan_acquire(void *);
void __tsan_release(void *);
#define KERNEL_ASKS(session)	__tsan_acquire(session)
#define KERNEL_ANSWERS(session) __tsan_release(session)
#else
#define KERNEL_ASKS(session)	((void)(session))
#define KERNEL_ANSWERS(session) ((void)(session))
#endif

/* Of a request that is not answered yet. */
static inline struct session *session_of(fuse_req_t req)
{
	struct session *session = fuse_req_userdata(req);

	KERNEL_ASKS(session);
	return session;
}

/* The node as the kernel wants it, with this mount's timeouts. */
struct fuse_entry_param reply_param(const struct session *session, const struct stat *stat);

void reply_error(fuse_req_t req, int error);
/* A node, or an error. -ENOENT is kept by the kernel as a name that does not exist. */
void reply_entry(fuse_req_t req, int error, const struct stat *stat);
void reply_attr(fuse_req_t req, int error, const struct stat *stat);
/* false: the kernel did not take it, so no release will come and the handle is still the caller's.
 */
bool reply_open(fuse_req_t req, const struct fuse_file_info *fi) MUST_CHECK;
bool reply_create(fuse_req_t req, const struct stat *stat,
		  const struct fuse_file_info *fi) MUST_CHECK;
void reply_span(fuse_req_t req, const struct span *span);
void reply_bytes(fuse_req_t req, const void *bytes, size_t length);
void reply_written(fuse_req_t req, size_t length);
void reply_link(fuse_req_t req, const char *target);
void reply_statfs(fuse_req_t req, const struct statvfs *numbers);
/* The bytes of an xattr or their list; size is the room that the caller has, 0 = only tell the
 * length. */
void reply_xattr(fuse_req_t req, const struct buf *value, size_t size);
void reply_none(fuse_req_t req);

#endif
