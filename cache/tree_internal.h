/* What the tree_*.c files share; for cache/ .c files only. */
#ifndef TOOTFS_TREE_INTERNAL_H
#define TOOTFS_TREE_INTERNAL_H

#include "cache/flow/node.h"
#include "cache/index/names.h"
#include "cache/index/nodes.h"
#include "internal.h"
#include "tree.h"

/* Makes sure that every name of the directory is known; may wait for the bucket. Nothing held. */
int tree_know(struct cache *cache, uint64_t ino) MUST_CHECK;
/* -ENOSPC: the disk is full, and what room the index has is for those who free some. Waits a little for them. Nothing held. */
int tree_room(struct cache *cache) MUST_CHECK;
/* nodes_get of a directory: -ENOTDIR, -ENOENT. */
int tree_folder(struct txn *txn, uint64_t ino, struct node_record *out) MUST_CHECK;
/* The key of (parent, name), or -ENAMETOOLONG under this bucket's prefix. */
int tree_key(struct cache *cache, struct txn *txn, uint64_t parent, const char *name,
	     char out[KEY_BYTES_MAX + 1]) MUST_CHECK;
/* A name came or went: the directory's times and, for sub-directories, its nlink. */
int tree_touch_folder(struct txn *txn, struct node_record *folder, int nlink_change) MUST_CHECK;
/* mtime and ctime become now. An error is logged. */
void tree_touch(struct cache *cache, uint64_t ino);
/* After a commit. */
void tree_committed(struct cache *cache);
void tree_stat_of(const struct node_record *record, struct stat *out);

/* Takes one name away from a file or symlink inside a write transaction: record is read, changed and put (or deleted).
 * open: somebody has it open, so it lives on as an orphan. */
struct tree_unname {
	uint64_t parent;
	const char *name;
	bool open;
	bool gone;     /* out: the node was deleted */
	bool orphan;   /* out: it has no name any more but lives */
};
int tree_unname(struct cache *cache, struct txn *txn, uint64_t ino, struct tree_unname *u) MUST_CHECK;
/* After the commit, with the node's lock held. */
void tree_unnamed_locked(struct cache *cache, struct node *node, const struct tree_unname *u);

/* Mastodon's top directories, which stay though they are empty (sticky=on). */
bool tree_is_sticky(const struct cache *cache, const char *key);

#endif
