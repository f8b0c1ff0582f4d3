/* What tree_*.c needs of file.c; for cache/ .c files only. */
#ifndef TOOTFS_FILE_INTERNAL_H
#define TOOTFS_FILE_INTERNAL_H

#include "draft.h"
#include "file.h"

enum { SYMLINK_BYTES_MAX = 4095 }; /* PATH_MAX with its NUL, as everywhere on Linux */

/* One change of a draft: run is called again after what it lacked is there. */
struct draft_change {
	int (*run)(struct node *node, const struct draft_change *change, struct draft_room *room);
	uint64_t start, end;
	const struct write_source *source;
};
/* The node's lock is held at the call and after it, but not throughout. An error poisons the draft. */
int draft_change(struct node *node, const struct draft_change *change)
	REQUIRES(&node->lock) MUST_CHECK;

void file_changed(struct cache *cache, uint64_t ino);

#endif
