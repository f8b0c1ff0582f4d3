/* Names that go: unlink, rmdir, and what a rename replaces. */
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/flow/want.h"
#include "tree_internal.h"

/* -- one name of a file -- */

struct first_link {
	uint64_t parent;
	char name[NAME_BYTES_MAX + 1];
};

static int take_first_link(void *arg, uint64_t parent, const char *name)
{
	struct first_link *first = arg;
	first->parent = parent;
	strcpy(first->name, name);
	return 1;
}

/* The primary name goes: a further one takes its place. */
static int promote_link(struct txn *txn, struct node_record *record)
{
	struct first_link first = {0};
	int r = links_each(txn, record->ino, take_first_link, &first);
	if (r < 0)
		return r;
	if (!first.parent)
		return -EUCLEAN;
	record->parent = first.parent;
	strcpy(record->name, first.name);
	return links_delete(txn, record->ino, first.parent, first.name);
}

static int unname_last(struct cache *cache, struct txn *txn, struct node_record *record,
		       struct tree_unname *u, const struct want_left *left)
{
	struct index *index = cache->flow.index;
	int r;
	if (!u->open) {
		u->gone = true;
		r = want_absent(txn, index, left->key, 0);
		return r ? r : nodes_delete(txn, record->ino);
	}
	u->orphan = true;
	record->flags |= NODE_ORPHAN;
	r = want_leave(txn, index, record, left);
	if (!r)
		r = nodes_put(txn, record);
	return r ? r : orphans_add(txn, record->ino);
}

int tree_unname(struct cache *cache, struct txn *txn, uint64_t ino, struct tree_unname *u)
{
	struct node_record record;
	char key[KEY_BYTES_MAX + 1], primary[KEY_BYTES_MAX + 1];
	struct want_left left = {key, NULL, false};
	int r = nodes_get(txn, ino, &record);
	if (!r)
		r = nodes_key_of_name(txn, u->parent, u->name, key);
	if (!r)
		r = names_delete(txn, u->parent, u->name, false);
	if (r)
		return r;
	left.was_primary = record.parent == u->parent && !strcmp(record.name, u->name);
	record.nlink--;
	record.ctime_ns = clock_wall_ns();
	if (!record.nlink)
		return unname_last(cache, txn, &record, u, &left);
	r = left.was_primary ? promote_link(txn, &record)
			     : links_delete(txn, ino, u->parent, u->name);
	if (!r)
		r = nodes_key_of_name(txn, record.parent, record.name, primary);
	left.primary = primary;
	if (!r)
		r = want_leave(txn, cache->flow.index, &record, &left);
	return r ? r : nodes_put(txn, &record);
}

void tree_unnamed_locked(struct cache *cache, struct node *node, const struct tree_unname *u)
{
	if (u->orphan)
		node->locked.orphan = true;
	if (!u->gone)
		return;
	node->locked.gone = true;
	/* published_blob: a fill may have made one that the record does not name yet */
	if (node->locked.published_blob)
		checkpoint_condemn(cache->flow.checkpoints, node->locked.published_blob,
				   node->locked.reserved);
}

/* -EAGAIN: the name means another node by now. */
static int unlink_node(struct cache *cache, uint64_t parent, const char *name, struct node *node)
{
	struct tree_unname u = {.parent = parent, .name = name};
	struct node_record folder;
	struct name found;
	struct txn *txn AUTO_ABORT = NULL;
	int r = node->locked.gone ? -EAGAIN : txn_begin_write(cache->flow.index, &txn);
	if (!r)
		r = names_get(txn, parent, name, &found);
	if (!r && found.ino != node_ino(node))
		r = -EAGAIN;
	u.open = node->locked.opens > 0;
	if (!r)
		r = tree_unname(cache, txn, node_ino(node), &u);
	if (!r)
		r = tree_folder(txn, parent, &folder);
	if (!r)
		r = tree_touch_folder(txn, &folder, 0);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		tree_unnamed_locked(cache, node, &u);
	return r;
}

static int name_to_ino(struct cache *cache, uint64_t parent, const char *name, struct name *out)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_look(cache->flow.index, &txn);
	return r ? r : names_get(txn, parent, name, out);
}

int tree_unlink(struct cache *cache, uint64_t parent, const char *name)
{
	struct name found;
	int r = tree_know(cache, parent);
	if (r)
		return r;
	do {
		struct node *node;
		r = name_to_ino(cache, parent, name, &found);
		if (!r && found.folder)
			r = -EISDIR;
		if (r)
			return r;
		r = node_get(cache->flow.nodes, found.ino, &node);
		if (r == -ENOENT)
			r = -EAGAIN;
		if (r)
			continue;
		lock_take(&node->lock);
		r = unlink_node(cache, parent, name, node);
		lock_drop(&node->lock);
		node_put(&node);
	} while (r == -EAGAIN);
	if (!r)
		tree_committed(cache);
	return r;
}

/* -- directories -- */

/* kt-paperclip and AttachmentBatch rmdir upwards until something is not empty. */
bool tree_is_sticky(const struct cache *cache, const char *key)
{
	static const char *const names[] = {
		"accounts",      "accounts/avatars",        "accounts/headers",
		"backups",       "backups/dumps",           "custom_emojis",
		"imports",       "custom_emojis/images",    "media_attachments",
		"preview_cards", "media_attachments/files", "media_attachments/thumbnails",
		"site_uploads",  "preview_cards/images",    "site_uploads/files",
	};
	if (!cache->config->sticky)
		return false;
	if (!strcmp(key, "cache"))
		return true;
	if (!strncmp(key, "cache/", 6))
		key += 6;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(key, names[i]))
			return true;
	return false;
}

static int rmdir_in_txn(struct cache *cache, struct txn *txn, uint64_t parent, const char *name)
{
	struct node_record folder;
	struct name found;
	char key[KEY_BYTES_MAX + 1];
	bool empty;
	int r = names_get(txn, parent, name, &found);
	if (!r && !found.folder)
		r = -ENOTDIR;
	if (!r)
		r = names_empty(txn, found.ino, &empty);
	if (!r)
		r = nodes_key_of_name(txn, parent, name, key);
	if (!r && (!empty || tree_is_sticky(cache, key)))
		r = -ENOTEMPTY;
	if (!r)
		r = names_delete(txn, parent, name, true);
	if (!r)
		r = nodes_delete(txn, found.ino);
	if (!r)
		r = tree_folder(txn, parent, &folder);
	return r ? r : tree_touch_folder(txn, &folder, -1);
}

int tree_rmdir(struct cache *cache, uint64_t parent, const char *name)
{
	struct name found;
	struct txn *txn AUTO_ABORT = NULL;
	int r = tree_know(cache, parent);
	if (!r)
		r = name_to_ino(cache, parent, name, &found);
	if (!r && found.folder)
		r = tree_know(cache, found.ino);
	if (!r)
		r = txn_begin_write(cache->flow.index, &txn);
	if (!r)
		r = rmdir_in_txn(cache, txn, parent, name);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		tree_committed(cache);
	return r;
}
