/* Looking, and changing attributes. What a live file has not published yet lies over its record. */
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/flow/want.h"
#include "survey.h"
#include "tree_internal.h"

enum { ROOM_WAIT_MS = 2000 };

static struct timespec timespec_of(int64_t ns)
{
	int64_t s = ns / 1000000000, rest = ns % 1000000000;
	if (rest < 0) {
		s--;
		rest += 1000000000;
	}
	return (struct timespec){.tv_sec = s, .tv_nsec = (long)rest};
}

void tree_stat_of(const struct node_record *record, struct stat *out)
{
	memset(out, 0, sizeof *out);
	out->st_ino = record->ino;
	out->st_mode = record->mode;
	/* 1 says that the number of sub-directories is not known, as on btrfs: find must not count on it */
	bool unknown = S_ISDIR(record->mode) && !(record->flags & NODE_COMPLETE);
	out->st_nlink = unknown ? 1 : record->nlink;
	out->st_uid = record->uid;
	out->st_gid = record->gid;
	out->st_size = S_ISDIR(record->mode) ? 4096 : (off_t)record->size;
	out->st_blocks = (out->st_size + 511) / 512;
	out->st_blksize = 128 << 10;
	out->st_atim = timespec_of(record->atime_ns);
	out->st_mtim = timespec_of(record->mtime_ns);
	out->st_ctim = timespec_of(record->ctime_ns);
}

static void overlay_draft_locked(const struct node *node, struct stat *out)
{
	if (!node->locked.draft)
		return;
	out->st_size = (off_t)node->locked.size;
	out->st_blocks = (out->st_size + 511) / 512;
	if (node->locked.draft_mtime_ns)
		out->st_mtim = out->st_ctim = timespec_of(node->locked.draft_mtime_ns);
}

LOCKS_UNCHECKED int tree_stat(struct cache *cache, uint64_t ino, struct stat *out)
{
	struct node_record record;
	struct txn *txn = NULL;
	/* the live node first: a publish changes both under its lock */
	struct node *node = node_find(cache->flow.nodes, ino);
	if (node)
		lock_take(&node->lock);
	int r = txn_begin_look(cache->flow.index, &txn);
	if (!r)
		r = nodes_get(txn, ino, &record);
	txn_abort(&txn);
	if (!r) {
		tree_stat_of(&record, out);
		if (node)
			overlay_draft_locked(node, out);
	}
	if (node) {
		lock_drop(&node->lock);
		node_put(&node);
	}
	return r;
}

int tree_folder(struct txn *txn, uint64_t ino, struct node_record *out)
{
	int r = nodes_get(txn, ino, out);
	return r ? r : S_ISDIR(out->mode) ? 0 : -ENOTDIR;
}

int tree_know(struct cache *cache, uint64_t ino)
{
	struct node_record record;
	struct txn *txn = NULL;
	int r = txn_begin_look(cache->flow.index, &txn);
	if (!r)
		r = tree_folder(txn, ino, &record);
	txn_abort(&txn);
	if (r)
		return r;
	if (!(record.flags & NODE_COMPLETE))
		return survey_folder(cache->survey, ino);
	return cache->config->shared_s ? survey_refresh(cache->survey, ino) : 0;
}

static int look_up(struct cache *cache, uint64_t parent, const char *name, uint64_t *ino, bool *known)
{
	struct node_record folder;
	struct name found;
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_look(cache->flow.index, &txn);
	if (!r)
		r = names_get(txn, parent, name, &found);
	if (!r)
		*ino = found.ino;
	if (r != -ENOENT)
		return r;
	r = tree_folder(txn, parent, &folder);
	*known = !r && (folder.flags & NODE_COMPLETE);
	return r ? r : -ENOENT;
}

int tree_room(struct cache *cache)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	int64_t wait_ms = cache->config->full_timeout_ms;
	int64_t give_up_ms = clock_ms() + (wait_ms < ROOM_WAIT_MS ? wait_ms : ROOM_WAIT_MS);

	while (index_tight(cache->flow.index)) {
		if (clock_ms() >= give_up_ms)
			return -ENOSPC;
		space_disk_full(cache->flow.evicts);
		nanosleep(&pause, NULL);
	}
	return 0;
}

int tree_lookup(struct cache *cache, uint64_t parent, const char *name, struct stat *out)
{
	uint64_t ino;
	bool known = false;
	int r = name_check(name, strlen(name));
	if (!r && cache->config->shared_s)
		r = tree_know(cache, parent);
	if (!r)
		r = look_up(cache, parent, name, &ino, &known);
	if (r == -ENOENT && !known) {
		r = tree_know(cache, parent);
		if (!r)
			r = look_up(cache, parent, name, &ino, &known);
	}
	return r ? r : tree_stat(cache, ino, out);
}

uint64_t tree_parent(struct cache *cache, uint64_t ino)
{
	struct node_record record;
	struct txn *txn = NULL;
	int r = txn_begin_look(cache->flow.index, &txn);
	if (!r)
		r = nodes_get(txn, ino, &record);
	txn_abort(&txn);
	return r || !record.parent ? INO_ROOT : record.parent;
}

int tree_key(struct cache *cache, struct txn *txn, uint64_t parent, const char *name,
	     char out[KEY_BYTES_MAX + 1])
{
	int r = name_check(name, strlen(name));
	if (!r)
		r = nodes_key_of_name(txn, parent, name, out);
	if (!r && strlen(out) > cache->key_bytes_max)
		r = -ENAMETOOLONG;
	return r;
}

int tree_touch_folder(struct txn *txn, struct node_record *folder, int nlink_change)
{
	folder->mtime_ns = folder->ctime_ns = clock_wall_ns();
	folder->nlink = (uint32_t)((int64_t)folder->nlink + nlink_change);
	return nodes_put(txn, folder);
}

void tree_committed(struct cache *cache)
{
	checkpoint_kick(cache->flow.checkpoints);
}

/* -- attributes -- */

/* cp -a sets owner and mode one after the other to what they are already. Within the granularity that file times have
 * anyway, that changes nothing, and is worth no transaction. */
static bool is_idle_change(const struct node_record *record, const struct attr_change *change)
{
	enum { GRANULARITY_NS = 10 * 1000 * 1000 };
	const unsigned owner_and_mode = ATTR_MODE | ATTR_UID | ATTR_GID;
	int64_t since = clock_wall_ns() - record->ctime_ns;
	return !(change->fields & ~owner_and_mode) && since >= 0 && since < GRANULARITY_NS &&
	       (!(change->fields & ATTR_MODE) || (record->mode & 07777) == (change->mode & 07777)) &&
	       (!(change->fields & ATTR_UID) || record->uid == change->uid) &&
	       (!(change->fields & ATTR_GID) || record->gid == change->gid);
}

static void apply(struct node_record *record, const struct attr_change *change)
{
	if (change->fields & ATTR_MODE)
		record->mode = (record->mode & S_IFMT) | (change->mode & 07777);
	if (change->fields & ATTR_UID)
		record->uid = change->uid;
	if (change->fields & ATTR_GID)
		record->gid = change->gid;
	if (change->fields & ATTR_ATIME)
		record->atime_ns = change->atime_ns;
	if (change->fields & ATTR_MTIME)
		record->mtime_ns = change->mtime_ns;
	record->ctime_ns = clock_wall_ns();
}

struct attrs_to_want {
	struct txn *txn;
	const struct node_record *record;
};

static int want_attrs_of_name(void *arg, uint64_t parent, const char *name)
{
	struct attrs_to_want *w = arg;
	char key[KEY_BYTES_MAX + 1];
	int r = nodes_key_of_name(w->txn, parent, name, key);
	return r ? r : want_attrs(w->txn, key, w->record);
}

/* attrs=object: the bucket is to know them too. What is DIRTY is sent with them anyway. */
static int want_new_attrs(struct cache *cache, struct txn *txn, const struct node_record *record)
{
	struct attrs_to_want w = {txn, record};
	if (!cache->flow.config.attrs_object || !S_ISREG(record->mode) ||
	    record->content == CONTENT_DIRTY || (record->flags & NODE_ORPHAN))
		return 0;
	int r = want_attrs_of_name(&w, record->parent, record->name);
	if (!r && record->nlink > 1)
		r = links_each(txn, record->ino, want_attrs_of_name, &w);
	return r;
}

static int setattr_in_index(struct cache *cache, uint64_t ino, const struct attr_change *change)
{
	struct node_record record;
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_write(cache->flow.index, &txn);
	if (!r)
		r = nodes_get(txn, ino, &record);
	if (r || is_idle_change(&record, change))
		return r;
	apply(&record, change);
	r = nodes_put(txn, &record);
	if (!r)
		r = want_new_attrs(cache, txn, &record);
	return r ? r : txn_commit(&txn);
}

LOCKS_UNCHECKED int tree_setattr(struct cache *cache, uint64_t ino, const struct attr_change *change,
				 struct stat *out)
{
	struct node *node = node_find(cache->flow.nodes, ino);
	if (node)
		lock_take(&node->lock);
	int r = setattr_in_index(cache, ino, change);
	if (!r && node && (change->fields & ATTR_MTIME))
		node->locked.draft_mtime_ns = 0; /* what was set outlasts the writes before it */
	if (node) {
		lock_drop(&node->lock);
		node_put(&node);
	}
	if (r)
		return r;
	tree_committed(cache);
	return tree_stat(cache, ino, out);
}

void tree_touch(struct cache *cache, uint64_t ino)
{
	const struct attr_change now = {.fields = ATTR_MTIME, .mtime_ns = clock_wall_ns()};
	struct stat after;
	int r = tree_setattr(cache, ino, &now, &after);
	if (r)
		log_warn("tree: times are not set ino=%" PRIu64 " error=%s", ino, strerror(-r));
}
