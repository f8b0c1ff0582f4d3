/* Files of a cache by path, as a caller that waits for everything: for the workload and the checks. */
#ifndef TOOTFS_CRASH_FILES_H
#define TOOTFS_CRASH_FILES_H

#include <sys/stat.h>
#include "cache/base/buf.h"
#include "cache/cache.h"

struct file;

/* The folder that a path lies in, and its last name. 0 or -errno, like all of them. */
int files_walk(struct cache *cache, const char *path, uint64_t *parent, const char **name) MUST_CHECK;
int files_look(struct cache *cache, const char *path, struct stat *out) MUST_CHECK;
int files_open(struct cache *cache, const char *path, int flags, struct file **out) MUST_CHECK;
int files_write(struct file *file, uint64_t offset, const void *bytes, size_t length) MUST_CHECK;
int files_read_piece(struct file *file, uint64_t offset, uint64_t length, struct buf *out) MUST_CHECK;
int files_read(struct cache *cache, uint64_t ino, struct buf *out) MUST_CHECK;

#endif
