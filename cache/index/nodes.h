/* nodes: ino → what is known of an entry of the tree. Also orphans, links and user xattrs.
 *
 * Directories have a short form. Content states of files and symlinks (kept consistent by the callers):
 *   REMOTE  the bucket has it; blob 0, or a blob that holds only the present ranges
 *   CLEAN   the bucket has it, and the blob holds all of it
 *   DIRTY   the blob holds it (blob 0 only when size is 0), the bucket not yet; a pending PUT exists */
#ifndef TOOTFS_NODES_H
#define TOOTFS_NODES_H

#include "index.h"
#include "cache/base/key.h"

enum content { CONTENT_REMOTE, CONTENT_CLEAN, CONTENT_DIRTY };

enum node_flag {
	NODE_COMPLETE = 1, /* directory: every name it has is known */
	NODE_ORPHAN = 2,   /* no name left, held open; exactly where nlink is 0 */
	NODE_GUESSED = 4,  /* came from a listing: mode, owner are defaults, a symlink may look like a file */
	NODE_SPARSE = 8,   /* not written from front to end: its blob may have holes, which read as zeros */
};

enum { NODE_ETAG_BYTES = 128, NODE_PRESENT_BYTES = 1024 };

struct node_record {
	uint64_t ino;
	uint64_t parent; /* of the primary name; of the root: itself */
	char name[NAME_BYTES_MAX + 1]; /* the primary name, without the trailing '/'; "" for the root */
	uint32_t mode; /* with type bits: S_IFDIR, S_IFREG, S_IFLNK */
	uint32_t uid, gid;
	uint32_t nlink; /* directories: 2 + sub-directories */
	uint32_t flags;
	int64_t atime_ns, mtime_ns, ctime_ns;
	/* files and symlinks; all 0 for a directory */
	uint64_t size;
	enum content content;
	uint64_t version; /* +1 with every published content */
	uint64_t blob;    /* 0 = none */
	char etag[NODE_ETAG_BYTES];
	char home[KEY_BYTES_MAX + 1]; /* where the bucket has the content, while that is not the node's key; "" */
	uint16_t present_bytes;       /* encoded ranges of a partial blob (blob/ranges.h); 0 = none */
	uint8_t present[NODE_PRESENT_BYTES];
};

int nodes_get(struct txn *txn, uint64_t ino, struct node_record *out) MUST_CHECK;
/* Asserts that the record is consistent: see the states above, NODE_ORPHAN, the sizes of its texts. */
int nodes_put(struct txn *txn, const struct node_record *record) MUST_CHECK;
/* Also deletes its further names, xattrs, age and orphan mark. */
int nodes_delete(struct txn *txn, uint64_t ino) MUST_CHECK;

/* The key of a node by its primary name, or the key of (parent, name): walks up the parents. out gets a
 * NUL-terminated key, without trailing slash, "" for the root. -ENAMETOOLONG, -ENOENT (a parent is gone). */
int nodes_key(struct txn *txn, uint64_t ino, char out[KEY_BYTES_MAX + 1]) MUST_CHECK;
int nodes_key_of_name(struct txn *txn, uint64_t parent, const char *name,
		      char out[KEY_BYTES_MAX + 1]) MUST_CHECK;

/* Nodes without a name that are held open (NODE_ORPHAN is set by the caller in the record too). */
int orphans_add(struct txn *txn, uint64_t ino) MUST_CHECK;
/* 0 = go on, 1 = stop, -errno = fail; it may delete what it is given. So may a link_visit. */
typedef int ino_visit(void *arg, uint64_t ino);
int orphans_each(struct txn *txn, ino_visit *visit, void *arg) MUST_CHECK;

/* Further names of a node with nlink > 1 (the primary one stands in the record). */
int links_add(struct txn *txn, uint64_t ino, uint64_t parent, const char *name) MUST_CHECK;
int links_delete(struct txn *txn, uint64_t ino, uint64_t parent, const char *name) MUST_CHECK;
typedef int link_visit(void *arg, uint64_t parent, const char *name);
int links_each(struct txn *txn, uint64_t ino, link_visit *visit, void *arg) MUST_CHECK;

/* User xattrs. name at most 255 bytes, value at most 64 KiB; all of a node's values 64 KiB. */
int xattrs_get(struct txn *txn, uint64_t ino, const char *name, struct buf *out) MUST_CHECK; /* -ENODATA */
int xattrs_put(struct txn *txn, uint64_t ino, const char *name, const void *value,
	       size_t length) MUST_CHECK;
int xattrs_delete(struct txn *txn, uint64_t ino, const char *name) MUST_CHECK; /* -ENODATA */
/* The names, each with its NUL, as listxattr(2) wants them. */
int xattrs_list(struct txn *txn, uint64_t ino, struct buf *out) MUST_CHECK;

#endif
