/* New names: mkdir, create, symlink, link. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/flow/want.h"
#include "cache/index/ages.h"
#include "file_internal.h"
#include "tree_internal.h"

/* What all kinds of new nodes have in common. */
struct maker {
	struct cache *cache;
	uint64_t parent;
	const char *name;
	uint32_t mode; /* with type bits */
	const struct caller *caller;
	/* symlinks */
	uint64_t size, blob, reserved;
	/* out */
	uint64_t ino;
};

static void inherit_group(const struct node_record *folder, struct node_record *node)
{
	if (!(folder->mode & S_ISGID))
		return;
	node->gid = folder->gid;
	if (S_ISDIR(node->mode))
		node->mode |= S_ISGID;
}

static void new_record(const struct maker *m, struct txn *txn, const struct node_record *folder,
		       struct node_record *node)
{
	memset(node, 0, sizeof *node);
	node->ino = txn_new_ino(txn);
	node->parent = m->parent;
	strcpy(node->name, m->name);
	node->mode = m->mode;
	node->uid = m->caller->uid;
	node->gid = m->caller->gid;
	node->nlink = S_ISDIR(m->mode) ? 2 : 1;
	node->flags = S_ISDIR(m->mode) ? NODE_COMPLETE : 0;
	node->atime_ns = node->mtime_ns = node->ctime_ns = clock_wall_ns();
	if (!S_ISDIR(m->mode))
		node->content = CONTENT_DIRTY;
	node->size = m->size;
	node->blob = m->blob;
	node->version = m->blob ? 1 : 0; /* 0: not flushed yet */
	inherit_group(folder, node);
}

static int make_in_txn(struct maker *m, struct txn *txn, struct node_record *node)
{
	struct node_record folder;
	char key[KEY_BYTES_MAX + 1];
	bool is_folder = S_ISDIR(m->mode);
	int r = tree_folder(txn, m->parent, &folder);
	if (!r)
		r = tree_key(m->cache, txn, m->parent, m->name, key);
	if (r)
		return r;
	new_record(m, txn, &folder, node);
	m->ino = node->ino;
	r = names_put(txn, m->parent, m->name, is_folder, node->ino, 0);
	if (!r)
		r = nodes_put(txn, node);
	if (!r)
		r = tree_touch_folder(txn, &folder, is_folder);
	if (!r && !is_folder)
		r = want_put(txn, m->cache->flow.index, key, node);
	if (!r && m->blob)
		r = ages_touch(txn, node->ino, evict_stamp(), m->reserved);
	return r;
}

static int make(struct maker *m, struct stat *out)
{
	struct node_record node;
	struct txn *txn AUTO_ABORT = NULL;
	int r = name_check(m->name, strlen(m->name));
	if (!r)
		r = tree_know(m->cache, m->parent);
	if (!r)
		r = tree_room(m->cache);
	if (!r)
		r = txn_begin_write(m->cache->flow.index, &txn);
	if (!r)
		r = make_in_txn(m, txn, &node);
	if (!r && m->blob)
		checkpoint_blob(m->cache->flow.checkpoints, m->blob);
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	tree_committed(m->cache);
	tree_stat_of(&node, out);
	return 0;
}

int tree_mkdir(struct cache *cache, uint64_t parent, const char *name, uint32_t mode,
	       const struct caller *caller, struct stat *out)
{
	struct maker m = {.cache = cache, .parent = parent, .name = name,
			  .mode = S_IFDIR | (mode & 07777), .caller = caller};
	return make(&m, out);
}

int tree_create(struct cache *cache, const struct create *create, struct file **file, struct stat *out)
{
	struct maker m = {.cache = cache, .parent = create->parent, .name = create->name,
			  .mode = S_IFREG | (create->mode & 07777), .caller = &create->caller};
	int r = make(&m, out);
	return r ? r : file_open(cache, m.ino, create->flags & ~O_TRUNC, file);
}

static int write_target(struct cache *cache, const char *target, uint64_t *blob)
{
	int fd, r = index_new_blob(cache->flow.index, blob);
	if (!r)
		r = blob_create(cache->flow.blobs, *blob, &fd);
	if (r)
		return r;
	r = blob_write(fd, 0, target, strlen(target));
	close(fd);
	if (r && blob_drop(cache->flow.blobs, *blob))
		return -EIO;
	return r;
}

int tree_symlink(struct cache *cache, uint64_t parent, const char *name, const char *target,
		 const struct caller *caller, struct stat *out)
{
	size_t length = strlen(target);
	struct maker m = {.cache = cache, .parent = parent, .name = name, .mode = S_IFLNK | 0777,
			  .caller = caller, .size = length, .reserved = space_of(length)};
	struct evicts *evicts = cache->flow.evicts;
	if (length == 0 || length > SYMLINK_BYTES_MAX)
		return length ? -ENAMETOOLONG : -ENOENT;
	int r = space_reserve(evicts, m.reserved, space_patience_ms(evicts));
	if (r)
		return r;
	r = write_target(cache, target, &m.blob);
	if (r) {
		space_release(evicts, m.reserved);
		return r;
	}
	r = make(&m, out);
	if (r) {
		space_release(evicts, m.reserved);
		if (blob_drop(cache->flow.blobs, m.blob))
			return -EIO;
	}
	return r;
}

static int read_target_locked(struct node *node, char *target, uint64_t size)
	REQUIRES(&node->lock)
{
	if (!node_covers_locked(node, 0, size))
		return -EINPROGRESS;
	int r = node_open_blob_locked(node);
	return r ? r : blob_read(node->locked.open->fd, 0, target, size);
}

int tree_readlink(struct cache *cache, uint64_t ino, char **target)
{
	struct node *node;
	int r = node_get(cache->flow.nodes, ino, &node);
	if (r)
		return r == -EISDIR ? -EINVAL : r;
	lock_take(&node->lock);
	uint64_t size = node->locked.size;
	char *text = size <= SYMLINK_BYTES_MAX ? calloc(1, size + 1) : NULL;
	r = text ? -EAGAIN : -ENOMEM;
	for (int tries = 0; r == -EAGAIN && tries < 4; tries++) {
		r = read_target_locked(node, text, size);
		if (r != -EINPROGRESS)
			continue;
		lock_drop(&node->lock);
		r = fill_wait_for(cache->flow.fills, node, 0, size);
		lock_take(&node->lock);
		if (!r)
			r = -EAGAIN;
	}
	lock_drop(&node->lock);
	node_put(&node);
	if (r) {
		free(text);
		return r == -EAGAIN ? -EIO : r;
	}
	*target = text;
	return 0;
}

struct names_to {
	uint64_t parent;
	const char *name;
};

static int link_in_txn(struct cache *cache, struct txn *txn, struct node_record *record,
		       const struct names_to *to)
{
	struct node_record folder;
	char key[KEY_BYTES_MAX + 1];
	int r = tree_folder(txn, to->parent, &folder);
	if (!r)
		r = tree_key(cache, txn, to->parent, to->name, key);
	if (!r)
		r = names_put(txn, to->parent, to->name, false, record->ino, txn_new_ino(txn));
	if (!r)
		r = links_add(txn, record->ino, to->parent, to->name);
	if (r)
		return r;
	record->nlink++;
	record->ctime_ns = clock_wall_ns();
	r = nodes_put(txn, record);
	if (!r)
		r = tree_touch_folder(txn, &folder, 0);
	return r ? r : want_put(txn, cache->flow.index, key, record);
}

int tree_link(struct cache *cache, uint64_t ino, uint64_t parent, const char *name, struct stat *out)
{
	const struct names_to to = {parent, name};
	struct node_record record;
	struct txn *txn AUTO_ABORT = NULL;
	int r = name_check(name, strlen(name));
	if (!r)
		r = tree_know(cache, parent);
	if (!r)
		r = tree_room(cache);
	if (!r)
		r = txn_begin_write(cache->flow.index, &txn);
	if (!r)
		r = nodes_get(txn, ino, &record);
	if (!r && S_ISDIR(record.mode))
		r = -EPERM;
	if (!r && (record.flags & NODE_ORPHAN))
		r = -ENOENT;
	if (!r)
		r = link_in_txn(cache, txn, &record, &to);
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	tree_committed(cache);
	return tree_stat(cache, ino, out);
}
