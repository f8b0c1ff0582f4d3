/* The file `steady`: LMDB's two meta pages as they were at the last checkpoint, so that the index
 * can be put back to it. Knows where LMDB keeps its meta pages, and nothing else of it. */
#ifndef TOOTFS_STEADY_H
#define TOOTFS_STEADY_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

enum { STEADY_BOOT_BYTES = 40, STEADY_META_BYTES = 512, STEADY_BYTES = 1128 };

struct steady {
	bool clean;
	char boot_id[STEADY_BOOT_BYTES]; /* when it was written; NUL-terminated */
	uint64_t txn;			 /* of the newer meta page */
	uint64_t file_bytes;		 /* index.mdb was at least this long */
	uint32_t page_bytes;		 /* meta pages are at 0 and here */
	uint8_t metas[2][STEADY_META_BYTES];
};

/* Reads the meta pages of an index file and what they say; not boot_id and clean. -EUCLEAN: not a
 * pair of meta pages; -EPROTO: of another LMDB file version. The caller keeps writers away. */
int steady_take(int file_fd, struct steady *out) MUST_CHECK;
/* Writes the meta pages into the index file and makes them durable. */
int steady_put_back(int file_fd, const struct steady *steady) MUST_CHECK;

void steady_encode(uint8_t out[STEADY_BYTES], const struct steady *steady);
/* -EUCLEAN, or -EPROTO when a newer program wrote it. */
int steady_decode(struct steady *out, const void *bytes, size_t length) MUST_CHECK;

/* folder/steady, replaced as a whole and durable. *unsure: it failed so late that either may be on
 * disk. */
int steady_write(int folder_fd, const struct steady *steady, bool *unsure) MUST_CHECK;
/* name: steady, or steady.old, which is the one before where it is whole. Also -ENOENT. */
int steady_read(int folder_fd, const char *name, struct steady *out) MUST_CHECK;
/* The running kernel's boot id. */
int steady_boot_id(char out[STEADY_BOOT_BYTES]) MUST_CHECK;

#endif
