/* pread(2) and pwrite(2) that go on until all is done. Offsets and lengths of at most INT64_MAX in sum. */
#ifndef TOOTFS_WHOLE_H
#define TOOTFS_WHOLE_H

#include <stdint.h>
#include <sys/types.h>
#include "err.h"

/* The bytes read, fewer than length at the end of the file only; or -errno. */
ssize_t whole_read(int fd, void *out, size_t length, uint64_t at) MUST_CHECK;
int whole_write(int fd, const void *bytes, size_t length, uint64_t at) MUST_CHECK;

#endif
