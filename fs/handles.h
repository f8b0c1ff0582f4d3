/* What is open: fi->fh of files and directories. The session's list of them is there for the end of
 * a mount that was cut off, when the kernel sends no releases. Thread-safe. */
#ifndef TOOTFS_HANDLES_H
#define TOOTFS_HANDLES_H

#include "lowlevel.h"
#include "reply.h"
#include "session.h"

struct file;
struct listing;

struct handle {
	struct list link;
	uint64_t ino;
	struct file *file;	 /* or */
	struct listing *listing; /* of a directory, */
	struct lock reading;	 /* which is read by one thread at a time */
	bool writes;		 /* a file that may be written */
	atomic_bool failed; /* a write or flush failed: the kernel may keep what is not there */
	_Atomic int64_t starved_ms; /* when the bucket last failed a read; 0 = never */
};

static inline struct handle *handle_of(fuse_req_t req, const struct fuse_file_info *fi)
{
	(void)session_of(req);
	return (struct handle *)(uintptr_t)fi->fh;
}

/* Empty, before the file is opened, so that an open file never lacks one; NULL = no memory. */
struct handle *handle_new(uint64_t ino);
/* One of file and listing is set now; the kernel gets it as fi->fh. */
void handle_publish(struct session *session, struct handle *handle, struct fuse_file_info *fi);
/* Closes what is open, whether published or not. */
void handle_close(struct session *session, struct handle **handle);
void handle_close_all(struct session *session);

#endif
