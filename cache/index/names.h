/* names: (parent ino, name) → ino. A directory's name is stored with a trailing '/', so that the order of
 * the table is the order in which S3 lists keys. A file and a directory of one name exclude each other.
 *
 * Every name has a cookie that is unique in its directory and stable while the name exists: the ino for a
 * node's first name, a fresh number (txn_new_ino) for further ones. */
#ifndef TOOTFS_NAMES_H
#define TOOTFS_NAMES_H

#include "index.h"
#include "cache/base/key.h"

struct name {
	char text[NAME_BYTES_MAX + 1]; /* without the trailing '/' */
	bool folder;
	uint64_t ino, cookie;
};

int names_get(struct txn *txn, uint64_t parent, const char *name, struct name *out) MUST_CHECK;
/* -EEXIST when a file or a directory has this name. cookie 0 = the ino. */
int names_put(struct txn *txn, uint64_t parent, const char *name, bool folder, uint64_t ino,
	      uint64_t cookie) MUST_CHECK;
int names_delete(struct txn *txn, uint64_t parent, const char *name, bool folder) MUST_CHECK;
int names_empty(struct txn *txn, uint64_t parent, bool *out) MUST_CHECK;

/* In stored order, from the name after `after` (NULL = from the start; the name itself need not exist
 * any more). visit: 0 = go on, 1 = stop, -errno = fail with it. *name is valid during the call only. visit
 * must not change names. */
struct names_position {
	char text[NAME_BYTES_MAX + 1];
	bool folder;
};
typedef int name_visit(void *arg, const struct name *name);
int names_each(struct txn *txn, uint64_t parent, const struct names_position *after, name_visit *visit,
	       void *arg) MUST_CHECK;

#endif
