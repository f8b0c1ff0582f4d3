/* Rename, of files and of whole directories: one transaction in every case.
 *
 * A directory's entries keep their records (they name their parent by number); what changes is the key of every file
 * below it, so a walk tells want.c each old and new key. The walk is as long as the directory is large. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/flow/want.h"
#include "tree_internal.h"

/* -- the walk -- */

enum step { STEP_CHECK, STEP_AWAY, STEP_IN };

struct walk {
	struct cache *cache;
	struct txn *txn;
	enum step step;
	struct node_record record; /* scratch: one, not one a level */
	char from[KEY_BYTES_MAX + 1], to[KEY_BYTES_MAX + 1];
	uint64_t folder; /* the one being walked */
	unsigned depth;
};

static int walk_folder(struct walk *w, uint64_t ino);

static int walk_file(struct walk *w, uint64_t ino, uint64_t parent, const char *name)
{
	struct index *index = w->cache->flow.index;
	int r = nodes_get(w->txn, ino, &w->record);
	if (r)
		return r;
	struct want_moved moved = {w->from, w->to,
				   w->record.parent == parent && !strcmp(w->record.name, name)};
	r = w->step == STEP_AWAY ? want_move_away(w->txn, index, &w->record, &moved)
				 : want_move_in(w->txn, index, &w->record, &moved);
	return r ? r : nodes_put(w->txn, &w->record);
}

/* Appends "/name" to a key; false when it gets too long. */
static bool key_down(char key[KEY_BYTES_MAX + 1], const char *name, size_t max)
{
	size_t length = strlen(key), more = strlen(name) + 1;
	if (length + more > max)
		return false;
	key[length] = '/';
	memcpy(key + length + 1, name, more);
	return true;
}

static int walk_name(void *arg, const struct name *name)
{
	struct walk *w = arg;
	size_t from = strlen(w->from), to = strlen(w->to);
	int r = -ENAMETOOLONG;
	if (key_down(w->from, name->text, KEY_BYTES_MAX) &&
	    key_down(w->to, name->text, w->cache->key_bytes_max)) {
		if (name->folder)
			r = walk_folder(w, name->ino);
		else
			r = w->step == STEP_CHECK ? 0 : walk_file(w, name->ino, w->folder, name->text);
	}
	w->from[from] = '\0';
	w->to[to] = '\0';
	return r;
}

/* -EAGAIN: shared=SECONDS has found a new sub-directory since all was known. */
static int check_known(struct walk *w, uint64_t ino)
{
	int r = tree_folder(w->txn, ino, &w->record);
	return r ? r : w->record.flags & NODE_COMPLETE ? 0 : -EAGAIN;
}

static int walk_folder(struct walk *w, uint64_t ino)
{
	uint64_t above = w->folder;
	int r = 0;
	if (++w->depth > KEY_BYTES_MAX)
		return -ELOOP;
	w->folder = ino;
	if (w->step == STEP_CHECK)
		r = check_known(w, ino);
	if (!r)
		r = names_each(w->txn, ino, NULL, walk_name, w);
	w->folder = above;
	w->depth--;
	return r;
}

/* -- both ends of a rename -- */

struct end {
	uint64_t parent;
	const char *name;
	struct name found; /* ino 0: there is none */
	struct node *node; /* of a file, held */
	char key[KEY_BYTES_MAX + 1];
};

struct renaming {
	struct cache *cache;
	struct txn *txn;
	unsigned flags;
	struct end from, to;
	struct tree_unname replaced;
	struct walk walk;
};

static int find_end(struct txn *txn, struct end *end, struct name *out)
{
	int r = names_get(txn, end->parent, end->name, out);
	if (r == -ENOENT)
		memset(out, 0, sizeof *out);
	return r == -ENOENT ? 0 : r;
}

static int read_ends(struct renaming *rn)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_look(rn->cache->flow.index, &txn);
	if (!r)
		r = find_end(txn, &rn->from, &rn->from.found);
	if (!r)
		r = find_end(txn, &rn->to, &rn->to.found);
	return r ? r : rn->from.found.ino ? 0 : -ENOENT;
}

struct unknown {
	struct txn *txn;
	uint64_t ino; /* out */
	struct node_record record;
	unsigned depth;
};

static int find_unknown(struct unknown *u, uint64_t ino);

static int find_unknown_below(void *arg, const struct name *name)
{
	return name->folder ? find_unknown(arg, name->ino) : 0;
}

static int find_unknown(struct unknown *u, uint64_t ino)
{
	int r = tree_folder(u->txn, ino, &u->record);
	if (!r && !(u->record.flags & NODE_COMPLETE)) {
		u->ino = ino;
		return 1;
	}
	if (r || u->depth > KEY_BYTES_MAX)
		return r ? r : -ELOOP;
	u->depth++;
	r = names_each(u->txn, ino, NULL, find_unknown_below, u);
	u->depth--;
	return u->ino ? 1 : r;
}

/* A directory can be moved only when all that is below it is known. */
static int know_subtree(struct cache *cache, uint64_t ino)
{
	for (;;) {
		struct unknown u = {0};
		int r = txn_begin_read(cache->flow.index, &u.txn);
		if (!r)
			r = find_unknown(&u, ino);
		txn_abort(&u.txn);
		if (r <= 0)
			return r;
		r = tree_know(cache, u.ino);
		if (r)
			return r;
	}
}

static int prepare_end(struct cache *cache, struct end *end)
{
	if (!end->found.ino)
		return 0;
	if (end->found.folder)
		return know_subtree(cache, end->found.ino);
	int r = node_get(cache->flow.nodes, end->found.ino, &end->node);
	return r == -ENOENT ? -EAGAIN : r;
}

/* Would the directory move below itself? */
static int check_loop(struct txn *txn, uint64_t ino, uint64_t parent)
{
	struct node_record record;
	while (parent != INO_ROOT) {
		if (parent == ino)
			return -EINVAL;
		int r = nodes_get(txn, parent, &record);
		if (r)
			return r;
		parent = record.parent;
	}
	return 0;
}

static int check(struct renaming *rn)
{
	struct name from, to;
	bool empty, exchange = rn->flags & RENAME_EXCHANGE;
	int r = find_end(rn->txn, &rn->from, &from);
	if (!r)
		r = find_end(rn->txn, &rn->to, &to);
	if (r)
		return r;
	if (from.ino != rn->from.found.ino || to.ino != rn->to.found.ino)
		return -EAGAIN;
	if (to.ino && (rn->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (exchange && !to.ino)
		return -ENOENT;
	if (from.folder)
		r = check_loop(rn->txn, from.ino, rn->to.parent);
	if (!r && exchange && to.folder)
		r = check_loop(rn->txn, to.ino, rn->from.parent);
	if (r || exchange || !to.ino)
		return r;
	if (from.folder != to.folder)
		return to.folder ? -EISDIR : -ENOTDIR;
	if (to.folder) {
		r = names_empty(rn->txn, to.ino, &empty);
		return r ? r : empty ? 0 : -ENOTEMPTY;
	}
	return 0;
}

/* -- the change -- */

static int touch(struct txn *txn, uint64_t ino, int nlink_change)
{
	struct node_record folder;
	int r = tree_folder(txn, ino, &folder);
	return r ? r : tree_touch_folder(txn, &folder, nlink_change);
}

static int replace_target(struct renaming *rn)
{
	struct end *to = &rn->to;
	if (!to->found.ino || (rn->flags & RENAME_EXCHANGE))
		return 0;
	if (!to->found.folder) {
		rn->replaced = (struct tree_unname){.parent = to->parent, .name = to->name,
						    .open = to->node->locked.opens > 0};
		return tree_unname(rn->cache, rn->txn, to->found.ino, &rn->replaced);
	}
	int r = names_delete(rn->txn, to->parent, to->name, true);
	if (!r)
		r = nodes_delete(rn->txn, to->found.ino);
	return r ? r : touch(rn->txn, to->parent, -1);
}

static int walk_end(struct renaming *rn, enum step step, const struct end *what, const struct end *where)
{
	struct walk *w = &rn->walk;
	w->cache = rn->cache;
	w->txn = rn->txn;
	w->step = step;
	strcpy(w->from, what->key);
	strcpy(w->to, where->key);
	if (what->found.folder)
		return walk_folder(w, what->found.ino);
	return step == STEP_CHECK ? 0 : walk_file(w, what->found.ino, what->parent, what->name);
}

/* The node's record (or its further name) says where it is now. */
static int re_home(struct renaming *rn, const struct end *what, const struct end *where)
{
	struct node_record *record = &rn->walk.record;
	int r = nodes_get(rn->txn, what->found.ino, record);
	if (r)
		return r;
	if (record->parent == what->parent && !strcmp(record->name, what->name)) {
		record->parent = where->parent;
		strcpy(record->name, where->name);
	} else {
		r = links_delete(rn->txn, record->ino, what->parent, what->name);
		if (!r)
			r = links_add(rn->txn, record->ino, where->parent, where->name);
		if (r)
			return r;
	}
	record->ctime_ns = clock_wall_ns();
	return nodes_put(rn->txn, record);
}

static int take_name(struct renaming *rn, const struct end *end)
{
	int r = names_delete(rn->txn, end->parent, end->name, end->found.folder);
	return r ? r : touch(rn->txn, end->parent, end->found.folder ? -1 : 0);
}

static int give_name(struct renaming *rn, const struct end *what, const struct end *where)
{
	int r = names_put(rn->txn, where->parent, where->name, what->found.folder, what->found.ino,
			  what->found.cookie);
	if (!r)
		r = re_home(rn, what, where);
	return r ? r : touch(rn->txn, where->parent, what->found.folder ? 1 : 0);
}

static int change(struct renaming *rn)
{
	struct end *from = &rn->from, *to = &rn->to;
	bool both = rn->flags & RENAME_EXCHANGE;
	int r = tree_key(rn->cache, rn->txn, from->parent, from->name, from->key);
	if (!r)
		r = tree_key(rn->cache, rn->txn, to->parent, to->name, to->key);
	if (!r)
		r = walk_end(rn, STEP_CHECK, from, to);
	if (!r && both)
		r = walk_end(rn, STEP_CHECK, to, from);
	if (!r)
		r = replace_target(rn);
	if (!r)
		r = walk_end(rn, STEP_AWAY, from, to);
	if (!r && both)
		r = walk_end(rn, STEP_AWAY, to, from);
	if (!r)
		r = walk_end(rn, STEP_IN, from, to);
	if (!r && both)
		r = walk_end(rn, STEP_IN, to, from);
	if (!r)
		r = take_name(rn, from);
	if (!r && both)
		r = take_name(rn, to);
	if (!r)
		r = give_name(rn, from, to);
	return r || !both ? r : give_name(rn, to, from);
}

LOCKS_UNCHECKED static void lock_ends(struct renaming *rn)
{
	struct node *a = rn->from.node, *b = rn->to.node;
	if (a && b && node_ino(a) > node_ino(b)) {
		struct node *c = a;
		a = b;
		b = c;
	}
	if (a)
		lock_take(&a->lock);
	if (b && b != a)
		lock_take(&b->lock);
}

LOCKS_UNCHECKED static void unlock_ends(struct renaming *rn)
{
	if (rn->to.node && rn->to.node != rn->from.node)
		lock_drop(&rn->to.node->lock);
	if (rn->from.node)
		lock_drop(&rn->from.node->lock);
}

static int rename_once(struct renaming *rn)
{
	int r = read_ends(rn);
	if (!r && rn->from.found.ino == rn->to.found.ino) /* two names of one file: nothing to do */
		return rn->flags & RENAME_NOREPLACE ? -EEXIST : 0;
	if (!r)
		r = prepare_end(rn->cache, &rn->from);
	if (!r)
		r = prepare_end(rn->cache, &rn->to);
	if (r)
		return r;
	lock_ends(rn);
	r = txn_begin_write(rn->cache->flow.index, &rn->txn);
	if (!r)
		r = check(rn);
	if (!r)
		r = change(rn);
	if (!r)
		r = txn_commit(&rn->txn);
	txn_abort(&rn->txn);
	if (!r && rn->to.node)
		tree_unnamed_locked(rn->cache, rn->to.node, &rn->replaced);
	unlock_ends(rn);
	return r;
}

int tree_rename(struct cache *cache, const struct rename *rename)
{
	int r = name_check(rename->to, strlen(rename->to));
	if (!r && (rename->flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)))
		r = -EINVAL;
	if (!r)
		r = tree_know(cache, rename->from_parent);
	if (!r)
		r = tree_know(cache, rename->to_parent);
	if (!r)
		r = tree_room(cache);
	if (r)
		return r;
	struct renaming *rn = calloc(1, sizeof *rn);
	if (!rn)
		return -ENOMEM;
	do {
		memset(rn, 0, sizeof *rn);
		rn->cache = cache;
		rn->flags = rename->flags;
		rn->from.parent = rename->from_parent;
		rn->from.name = rename->from;
		rn->to.parent = rename->to_parent;
		rn->to.name = rename->to;
		r = rename_once(rn);
		node_put(&rn->from.node);
		node_put(&rn->to.node);
	} while (r == -EAGAIN);
	free(rn);
	if (!r)
		tree_committed(cache);
	return r;
}
