/* Open files: read, write, and flush, which is the commit point.
 *
 * What was written is seen by every reader at once, but becomes the file's content (and goes to the bucket)
 * with file_flush. A handle whose write failed is poisoned: its flush fails, commits nothing, and the
 * content before the first unflushed write comes back. Thread-safe; a struct file may be used by several
 * threads at a time, but not after file_close. The caller holds no lock. */
#ifndef TOOTFS_FILE_H
#define TOOTFS_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "cache.h"

struct file;

/* flags of open(2); O_TRUNC empties the file (kept when nothing is flushed later).
 * -ESTALE: the node turned out to be something else (a symlink): look the name up
 * again. */
int file_open(struct cache *cache, uint64_t ino, int flags, struct file **out) MUST_CHECK;
uint64_t file_ino(const struct file *file);
bool file_writable(const struct file *file);

/* A piece of a local file. Valid until file_span_release. Past the end of file: length 0. */
struct span {
	int fd;
	uint64_t offset, length;
	void *hold;
};

/* One read. The caller owns it until it completes. */
struct file_read {
	uint64_t offset, length; /* asked */
	struct span span;        /* answered; shorter than asked only at the end of file */
	void (*done)(struct file_read *read, int error); /* called once, only after -EINPROGRESS */
	bool waits;              /* it had to wait: the cache's own, false at first */
	bool no_wait;            /* -EINTR where it would have to wait for the bucket */
	void *private[8];        /* of the cache, while it is under way */
};
/* 0: the span is filled. -EINPROGRESS: done(read, error) will be called from another thread with no lock
 * held, within io_timeout. Else -errno: -ESTALE, from then on, where the object was replaced behind our back since the
 * open. */
int file_read(struct file *file, struct file_read *read) MUST_CHECK;
/* Sets no_wait in a read that is under way or about to begin. True: it waited, and done() will not be called; the
 * caller has it back. False: it ends as ever. */
bool file_read_cancel(struct file *file, struct file_read *read) MUST_CHECK;
void file_span_release(struct span *span);

/* Where write data comes from: copy(arg, to fd, at offset, length) writes it all there or returns -errno.
 * So that pages can be spliced into the blob without passing through memory. */
struct write_source {
	int (*copy)(void *arg, int fd, uint64_t offset, uint64_t length);
	void *arg;
};
/* All of it, or -errno (-ENOSPC after full_timeout without room, -EIO, -EFBIG). May wait for room and, where the
 * old content must be fetched first, for the bucket. O_APPEND is the kernel's business: offset is always used. */
int file_write(struct file *file, uint64_t offset, uint64_t length,
	       const struct write_source *source) MUST_CHECK;
/* At every close(2) of a handle that may write. durability=bucket: waits until the bucket has it. */
int file_flush(struct file *file) MUST_CHECK;
/* flush, then a checkpoint (or the bucket, as durability says). */
int file_sync(struct file *file) MUST_CHECK;
/* The last reference of an open is gone; publishes what was written after the last flush (mmap). */
void file_close(struct file **file);

/* truncate(2), ftruncate(2): file may be NULL. */
int file_truncate(struct cache *cache, uint64_t ino, struct file *file, uint64_t size,
		  struct stat *out) MUST_CHECK;
/* fallocate(2): mode 0 makes the file longer where needed; FALLOC_FL_KEEP_SIZE checks for room only; other modes
 * are -EOPNOTSUPP. */
int file_allocate(struct file *file, int mode, uint64_t offset, uint64_t length) MUST_CHECK;
/* fsync of a directory: everything acknowledged so far is on stable storage. */
int cache_sync(struct cache *cache) MUST_CHECK;

#endif
