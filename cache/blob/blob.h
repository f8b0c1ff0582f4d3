/* Blobs: the bytes held here, one plain file each, below FOLDER/blobs.
 *
 * A blob has a number that is never given twice. Files are 0600 in folders 0700, fanned out by number
 * (number >> 12), so that neighbours in time share a folder. Thread-safe; a blob's content is guarded by
 * its user. No fsync but in blobs_sync. */
#ifndef TOOTFS_BLOB_H
#define TOOTFS_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include "cache/base/err.h"

struct blobs;

int blobs_open(const char *folder, struct blobs **out) MUST_CHECK;
void blobs_close(struct blobs **blobs);

/* A new empty blob, open for reading and writing (O_CLOEXEC). -EEXIST is a programming error. */
int blob_create(struct blobs *blobs, uint64_t id, int *fd) MUST_CHECK;
/* Read-write; -ENOENT when it is gone. */
int blob_open(struct blobs *blobs, uint64_t id, int *fd) MUST_CHECK;
/* A new blob `to` with the first size bytes of fd from: shared extents where the filesystem has them
 * (FICLONE / copy_file_range), holes kept where cheap. Removes `to` again on an error. */
int blob_clone(struct blobs *blobs, int from, uint64_t size, uint64_t to, int *fd) MUST_CHECK;
/* 0 also when it is gone already. */
int blob_drop(struct blobs *blobs, uint64_t id) MUST_CHECK;
/* A second name for it (a hard link), outside the cache's folders. -EEXIST, -ENOENT. */
int blob_link(struct blobs *blobs, uint64_t id, int folder_fd, const char *name) MUST_CHECK;
/* Makes these blobs and their directory entries durable; missing ones are skipped. More of them at once than
 * BLOBS_SYNC_EACH_MAX become one syncfs(2). ids is sorted in place. */
enum { BLOBS_SYNC_EACH_MAX = 64 };
int blobs_sync(struct blobs *blobs, uint64_t *ids, size_t count) MUST_CHECK;
/* Everything in the cache's filesystem, whatever it is. */
int blobs_sync_all(struct blobs *blobs) MUST_CHECK;
/* Every blob there is, in no order; bytes = what it takes on disk. visit: 0 = go on, else stop with it. */
typedef int blob_visit(void *arg, uint64_t id, uint64_t bytes);
int blobs_each(struct blobs *blobs, blob_visit *visit, void *arg) MUST_CHECK;
int blobs_statvfs(struct blobs *blobs, struct statvfs *out) MUST_CHECK;

/* pwrite/pread of all of it: 0 or -errno (-ENOSPC, -EIO; a short read is -EIO). */
int blob_write(int fd, uint64_t offset, const void *bytes, size_t length) MUST_CHECK;
int blob_read(int fd, uint64_t offset, void *bytes, size_t length) MUST_CHECK;

#endif
