/* The namespace: every change is one transaction, acknowledged when it is committed.
 *
 * A node is named by its ino, which is the kernel's node id too. Names are NUL-terminated, one component.
 * Permissions are the kernel's business. A directory that is not known completely is listed first, so any call
 * may wait for the bucket then (io_timeout at most). Thread-safe; the caller holds no lock.
 *
 * Errors are those of the system calls; -EIO when the bucket was needed and did not answer. */
#ifndef TOOTFS_TREE_H
#define TOOTFS_TREE_H

#include <stdint.h>
#include <sys/stat.h>
#include "cache.h"

struct file;

/* Who asks: owner of new nodes (group from a setgid directory). */
struct caller {
	uint32_t uid, gid;
};

int tree_lookup(struct cache *cache, uint64_t parent, const char *name, struct stat *out) MUST_CHECK;
int tree_stat(struct cache *cache, uint64_t ino, struct stat *out) MUST_CHECK;

enum attr_field {
	ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32,
};
struct attr_change {
	unsigned fields; /* of enum attr_field */
	uint32_t mode, uid, gid;
	uint64_t size;
	int64_t atime_ns, mtime_ns; /* UTIME_NOW is resolved by the caller */
};
/* Not ATTR_SIZE: that is file_truncate. ctime is set to now. */
int tree_setattr(struct cache *cache, uint64_t ino, const struct attr_change *change,
		 struct stat *out) MUST_CHECK;

int tree_mkdir(struct cache *cache, uint64_t parent, const char *name, uint32_t mode,
	       const struct caller *caller, struct stat *out) MUST_CHECK;
int tree_symlink(struct cache *cache, uint64_t parent, const char *name, const char *target,
		 const struct caller *caller, struct stat *out) MUST_CHECK;
/* *target is malloc'ed. */
int tree_readlink(struct cache *cache, uint64_t ino, char **target) MUST_CHECK;
int tree_link(struct cache *cache, uint64_t ino, uint64_t parent, const char *name,
	      struct stat *out) MUST_CHECK;
int tree_unlink(struct cache *cache, uint64_t parent, const char *name) MUST_CHECK;
int tree_rmdir(struct cache *cache, uint64_t parent, const char *name) MUST_CHECK;
/* flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE. */
struct rename {
	uint64_t from_parent, to_parent;
	const char *from, *to;
	unsigned flags;
};
int tree_rename(struct cache *cache, const struct rename *rename) MUST_CHECK;

/* A regular file that does not exist yet (-EEXIST), open for writing: *file as from file_open. */
struct create {
	uint64_t parent;
	const char *name;
	uint32_t mode;
	int flags; /* of open(2) */
	struct caller caller;
};
int tree_create(struct cache *cache, const struct create *create, struct file **file,
		struct stat *out) MUST_CHECK;

/* Reading a directory. A listing remembers the names behind the cookies that it gave out lately, so that
 * it can go on after a name that is gone. Its owner calls it from one thread at a time. "." and ".." are
 * not among the entries. */
struct listing;
struct listing_entry {
	const char *name; /* valid during the call */
	uint64_t cookie;  /* where to go on after this entry; > 2 */
	struct stat stat;
};
/* 0 = taken, 1 = no room: the listing stops and this entry comes again. */
typedef int listing_visit(void *arg, const struct listing_entry *entry);
int listing_open(struct cache *cache, uint64_t ino, struct listing **out) MUST_CHECK;
/* Entries after cookie (0 = from the start) until visit has no room or the directory ends. */
int listing_read(struct listing *listing, uint64_t cookie, listing_visit *visit, void *arg) MUST_CHECK;
void listing_close(struct listing **listing);
uint64_t tree_parent(struct cache *cache, uint64_t ino); /* for ".."; INO_ROOT for the root */

/* user.* xattrs; they live in the index only. set_flags: XATTR_CREATE, XATTR_REPLACE. */
int tree_xattr_get(struct cache *cache, uint64_t ino, const char *name, struct buf *out) MUST_CHECK;
int tree_xattr_set(struct cache *cache, uint64_t ino, const char *name, const struct buf *value,
		   int set_flags) MUST_CHECK;
int tree_xattr_list(struct cache *cache, uint64_t ino, struct buf *out) MUST_CHECK;
int tree_xattr_remove(struct cache *cache, uint64_t ino, const char *name) MUST_CHECK;

#endif
