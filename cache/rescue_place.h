/* Where something goes in lost+found; for rescue*.c only.
 *
 * Paths come from a damaged index: each name is made one that can do no harm, folders are opened one by one and never through
 * a link. A place that is taken by something else gets another name ("name~2~"); one that is taken by the same blob is good,
 * so that everything can be done twice. */
#ifndef TOOTFS_RESCUE_PLACE_H
#define TOOTFS_RESCUE_PLACE_H

#include "cache/base/buf.h"
#include "cache/blob/blob.h"
#include "cache/index/nodes.h"

struct places {
	struct blobs *blobs;
	int folder, lost, files, nameless; /* the cache folder, lost+found, and its files/ and blobs/ */
	uint32_t uid, gid;		   /* of folders below files/ */
};

/* Makes the folders. places_close also where it failed. */
int places_open(struct places *p, const char *cache_folder) MUST_CHECK;
void places_close(struct places *p);

/* The blob becomes files/path too, with the owner and mtime of the record; *where: its name below lost+found. A node without
 * a blob is an empty file; target: it becomes a symlink. -errno where no place is found for this path. */
int place_file(struct places *p, const char *path, const struct node_record *node, const char *target,
	       struct buf *where) MUST_CHECK;
/* The blob becomes blobs/NUMBER too. */
int place_nameless(struct places *p, uint64_t blob, struct buf *where) MUST_CHECK;

#endif
