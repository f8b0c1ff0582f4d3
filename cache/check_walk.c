/* The index's files in key order, depth first.
 *
 *     levels   root/  a/  a/b/      each with the name that was visited last; a folder's key is its level's start of the key
 *     batch    up to BATCH files, read in one snapshot, which ends before they are given out
 *
 * So no snapshot is held while the bucket is waited for. Names that come and go between two batches are met or not; a folder
 * that was renamed meanwhile gives keys that are no longer so, which the second look sees. Names that lead nowhere are told at
 * once. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "check_internal.h"

enum { BATCH = 512, DEPTH_MAX = KEY_BYTES_MAX / 2 + 2, BROKEN_MAX = 64 };

struct level {
	uint64_t ino;
	size_t key_bytes; /* with the '/' at its end */
	bool begun;
	struct names_position after;
};

struct broken {
	char key[KEY_BYTES_MAX + 1];
	uint64_t ino;
};

struct check_walk {
	struct check *check;
	size_t depth, count, at, broken_count;
	char key[KEY_BYTES_MAX + NAME_BYTES_MAX + 2];
	struct level levels[DEPTH_MAX];
	struct check_file files[BATCH];
	struct broken broken[BROKEN_MAX];
};

int check_walk_open(struct check *c, struct check_walk **out)
{
	struct check_walk *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->check = c;
	w->levels[0].ino = INO_ROOT;
	w->depth = 1;
	*out = w;
	return 0;
}

void check_walk_close(struct check_walk **walk)
{
	free(*walk);
	*walk = NULL;
}

/* -- a batch -- */

struct visit {
	struct check_walk *walk;
	struct txn *txn;
	uint64_t enter; /* a folder to go on in */
	bool full;
};

static void note_broken(struct check_walk *w, uint64_t ino)
{
	struct broken *b = &w->broken[w->broken_count++];

	snprintf(b->key, sizeof(b->key), "%.*s", KEY_BYTES_MAX, w->key);
	b->ino = ino;
}

struct has_name {
	uint64_t parent;
	const char *name;
	bool found;
};

static int visit_link(void *arg, uint64_t parent, const char *name)
{
	struct has_name *h = arg;

	h->found |= parent == h->parent && !strcmp(name, h->name);
	return h->found;
}

/* Is it a name that the node has? 0, 1 = no. */
static int fits(struct visit *v, uint64_t parent, const struct name *name, const struct node_record *node, bool *primary)
{
	struct has_name h = { .parent = parent, .name = name->text };

	*primary = node->parent == parent && !strcmp(node->name, name->text);
	if (S_ISDIR(node->mode) != name->folder)
		return 1;
	if (*primary)
		return 0;
	int r = links_each(v->txn, node->ino, visit_link, &h);
	return r < 0 ? r : !h.found;
}

static int add_file(struct visit *v, const struct node_record *node, bool primary)
{
	struct check_walk *w = v->walk;
	struct check *c = w->check;
	struct check_file *f = &w->files[w->count++];

	strcpy(f->key, w->key);
	f->primary = primary;
	f->plain = node->content != CONTENT_DIRTY && !node->home[0];
	f->ino = node->ino;
	f->size = node->size;
	f->blob = node->blob;
	memcpy(f->etag, node->etag, sizeof(f->etag));
	if (!primary)
		return 0;
	S_ISLNK(node->mode) ? c->counted.symlinks++ : c->counted.files++;
	c->counted.bytes += node->size;
	return node->blob && !c->options->live ? numbers_add(&c->named, node->blob) : 0;
}

static int visit_name(void *arg, const struct name *name)
{
	struct visit *v = arg;
	struct check_walk *w = v->walk;
	struct level *level = &w->levels[w->depth - 1];
	struct node_record node;
	bool primary = false;

	if (w->count == BATCH || w->broken_count == BROKEN_MAX) {
		v->full = true;
		return 1;
	}
	strcpy(level->after.text, name->text);
	level->after.folder = name->folder;
	level->begun = true;
	size_t length = strlen(name->text);
	if (level->key_bytes + length + name->folder > KEY_BYTES_MAX)
		return 0; /* no such object can be: the tree refuses such names */
	memcpy(w->key + level->key_bytes, name->text, length + 1);
	int r = nodes_get(v->txn, name->ino, &node);
	if (!r)
		r = fits(v, level->ino, name, &node, &primary);
	if (r && r != -ENOENT && r != 1)
		return r;
	if (r) {
		note_broken(w, name->ino);
		return 0;
	}
	if (!name->folder)
		return add_file(v, &node, primary);
	w->check->counted.folders++;
	strcpy(w->key + level->key_bytes + length, "/");
	v->enter = name->ino;
	return 1;
}

static int fill_batch(struct check_walk *w)
{
	AUTO_ABORT struct txn *txn = NULL;
	int r = txn_begin_read(w->check->cache->flow.index, &txn);

	while (!r && w->depth) {
		struct level *level = &w->levels[w->depth - 1];
		struct visit v = { .walk = w, .txn = txn };
		r = names_each(txn, level->ino, level->begun ? &level->after : NULL, visit_name, &v);
		if (r < 0)
			return r;
		r = 0;
		if (v.full)
			return 0;
		if (v.enter && w->depth < DEPTH_MAX) {
			w->levels[w->depth++] = (struct level){ .ino = v.enter, .key_bytes = strlen(w->key) };
		} else if (!v.enter) {
			w->depth--;
		}
	}
	return r;
}

/* -- one by one -- */

/* The name may have gone, or be moving just now. */
static int tell_broken(struct check_walk *w)
{
	int r = 0;

	for (size_t i = 0; !r && i < w->broken_count; i++) {
		struct broken *b = &w->broken[i];
		size_t length = strlen(b->key);
		if (length && b->key[length - 1] == '/')
			b->key[length - 1] = '\0';
		const struct check_case k = { .code = CHECK_NAME, .key = b->key, .ino = b->ino, .detail = "" };
		struct check_facts facts;
		r = check_look(w->check->cache, b->key, &facts);
		if (r == -EUCLEAN)
			r = check_found(w->check, &k);
	}
	w->broken_count = 0;
	return r;
}

int check_walk_next(struct check_walk *w, const struct check_file **out)
{
	*out = NULL;
	while (w->at == w->count) {
		if (!w->depth)
			return 0;
		w->at = w->count = 0;
		int r = check_cancelled(w->check) ? -ECANCELED : fill_batch(w);
		if (!r)
			r = tell_broken(w);
		if (r)
			return r;
	}
	*out = &w->files[w->at++];
	return 0;
}
