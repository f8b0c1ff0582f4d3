/* user.* xattrs, in the index only. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include "cache/base/clock.h"
#include "tree_internal.h"

int tree_xattr_get(struct cache *cache, uint64_t ino, const char *name, struct buf *out)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_look(cache->flow.index, &txn);
	return r ? r : xattrs_get(txn, ino, name, out);
}

int tree_xattr_list(struct cache *cache, uint64_t ino, struct buf *out)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_look(cache->flow.index, &txn);
	return r ? r : xattrs_list(txn, ino, out);
}

/* value NULL: remove. */
static int change(struct cache *cache, uint64_t ino, const char *name, const struct buf *value,
		  int set_flags)
{
	struct node_record record;
	struct buf old AUTO_BUF = BUF_EMPTY;
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_write(cache->flow.index, &txn);
	if (!r)
		r = nodes_get(txn, ino, &record);
	if (r)
		return r;
	r = xattrs_get(txn, ino, name, &old);
	if (!r && (set_flags & XATTR_CREATE))
		r = -EEXIST;
	if (r == -ENODATA && value && !(set_flags & XATTR_REPLACE))
		r = 0;
	if (!r)
		r = value ? xattrs_put(txn, ino, name, buf_string(value), value->length)
			  : xattrs_delete(txn, ino, name);
	if (r)
		return r;
	record.ctime_ns = clock_wall_ns();
	r = nodes_put(txn, &record);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		tree_committed(cache);
	return r;
}

int tree_xattr_set(struct cache *cache, uint64_t ino, const char *name, const struct buf *value,
		   int set_flags)
{
	int r = tree_room(cache);
	return r ? r : change(cache, ino, name, value, set_flags);
}

int tree_xattr_remove(struct cache *cache, uint64_t ino, const char *name)
{
	return change(cache, ino, name, NULL, 0);
}
